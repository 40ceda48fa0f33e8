// HeadRole: the head as a part of the ring: ids in, activations out; the last stage's activations
// in, candidates out. It keeps the soft embedding of each session's last finished step.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "shard/data_message.h"
#include "shard/head.h"
#include "shard/ring_role.h"
#include "transport/candidates.h"

namespace potluck {

class HeadRole final : public RingRole {
 public:
  HeadRole(const ModelSource& source, const Plan& plan, Backend& backend);

  void open(uint64_t session) override;
  void close(uint64_t session) override;
  void truncate(uint64_t session, int length) override;
  Message run(const Message& message) override;
  void rejoin(const Plan& plan, PeerId you) override;
  Ready sizes() const override;
  PeerId next() const override { return stage_peer(0); }

 private:
  struct Session {
    int length = 0;                   // tokens encoded
    std::optional<StepKey> finished;  // the last finished step since the last encode
    std::optional<StepKey> sent;      // the step on its way round the ring
    std::array<Tensor, 2> soft;       // [0]: of the last finished step; [1]: spare
    Candidates candidates;            // of the last finished step
  };

  Session& session_of(const Header& header);
  std::vector<int32_t> ids_of(const Message& message) const;
  Message encode(const Message& message, Session& session);
  Message denoise(const Message& message, Session& session);
  Message embed(const Header& header, const std::vector<int32_t>& ids, Tensor soft);
  Message answer(const Message& message, Session& session);
  static Message candidates(const Header& header, const Session& session);

  const ModelSpec& spec_;
  Plan plan_;
  Backend& backend_;
  const HopOut hop_;
  Head head_;
  std::map<uint64_t, Session> sessions_;
  std::vector<std::array<Tensor, 2>> free_soft_;
};

}  // namespace potluck
