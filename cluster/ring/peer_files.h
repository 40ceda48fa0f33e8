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
  // keys: this machine's. state: says in words how far the work is, for the peer to show; may be
  // none. Asks the peer at once; throws Fault{lost} if nobody answers, and the peer's own fault.
  PeerFiles(Address peer, std::function<LockKeys()> keys, std::function<std::string()> state = {});
  const std::vector<ModelFile>& files() const override { return files_; }
  std::string name() const override { return peer_.endpoint; }
  const std::string& content() const { return content_; }  // 16 hex digits; of the model
  // 40 hex digits: of the hub's files that the peer's are; empty: they come from no hub.
  const std::string& commit() const { return commit_; }
  // Bytes that do not have the digest that the peer gives them are not handed on.
  ReadEnd read(size_t file, ByteRange range, const ByteSink& sink) override;

 private:
  ReadEnd read_parts(size_t file, ByteRange range, const ByteSink& sink);

  const Address peer_;
  const std::function<LockKeys()> keys_;
  const std::function<std::string()> state_;
  std::unique_ptr<ControlClient> client_;  // none after the connection was lost
  std::vector<ModelFile> files_;
  std::string content_, commit_;
};

}  // namespace potluck
