// The files of a model that another machine of the cluster shares (model_share.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "topology/hub/model_files.h"
#include "transport/control/control_client.h"

namespace potluck {

class PeerFiles final : public ModelFiles {
 public:
  // keys: this machine's. Asks the peer at once; throws Fault{lost} if nobody answers, and the
  // peer's own fault.
  PeerFiles(Address peer, std::function<LockKeys()> keys);
  const std::vector<ModelFile>& files() const override { return files_; }
  std::string name() const override { return peer_.endpoint; }
  // Bytes that do not have the digest that the peer gives them are not handed on.
  ReadEnd read(size_t file, ByteRange range, const ByteSink& sink) override;

 private:
  ReadEnd read_parts(size_t file, ByteRange range, const ByteSink& sink);

  const Address peer_;
  const std::function<LockKeys()> keys_;
  std::unique_ptr<ControlClient> client_;  // none after the connection was lost
  std::vector<ModelFile> files_;
};

}  // namespace potluck
