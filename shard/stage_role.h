// StageRole: a stage as a part of the ring: activations in, activations out, and KV of its
// sessions.
#pragma once

#include "shard/data_message.h"
#include "shard/ring_role.h"
#include "shard/stage.h"

namespace potluck {

class StageRole final : public RingRole {
 public:
  // index: of the plan's stages.
  StageRole(const ModelSource& source, const Plan& plan, int index, Backend& backend);

  void open(uint64_t session) override { stage_.kv().open(session); }
  void close(uint64_t session) override { stage_.kv().close(session); }
  void truncate(uint64_t session, int length) override { stage_.kv().truncate(session, length); }
  Message run(const Message& message) override;
  void rejoin(const Plan& plan, PeerId you) override;
  Ready sizes() const override;
  PeerId next() const override;

 private:
  bool last() const { return index_ + 1 == plan_.stage_count(); }
  DType hop_before() const;
  Message encode_done(const Header& header);

  const ModelSpec& spec_;
  Plan plan_;
  int index_;
  Backend& backend_;
  const HopOut hop_;
  Stage stage_;
};

}  // namespace potluck
