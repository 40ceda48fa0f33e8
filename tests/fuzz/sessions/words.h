// Words: what a hostile peer says: messages as an honest one would send them, damaged ones, and
// any.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "tests/fuzz/sessions/draws.h"
#include "topology/model/model_source.h"
#include "transport/link/pipe.h"
#include "transport/message.h"

namespace potluck {

// How much of what hostile peers sent is still held by anybody.
struct Ledger {
  uint64_t bytes = 0;
};

// A peer knows this of the ring that it speaks for.
struct Scene {
  RingId ring;
  bool with_ids = false;            // data holds ids, as the coordinator sends it
  std::map<uint64_t, int> lengths;  // of the sessions, as far as this peer knows
};

class Words final {
 public:
  // plan: a good one. Both outlive this.
  Words(const ModelSource& source, const Plan& plan);

  // As it should be; the scene goes on as if it were taken.
  Message fitting(Draws& draws, MessageKind kind, Scene& scene);
  Message any(Draws& draws, const Scene& scene);
  void damage(Draws& draws, Message& message);
  // As bytes, which may be damaged too; none for what the wire cannot say.
  std::vector<Frames> frames(Draws& draws, const Message& message);

  const Ledger& ledger() const { return ledger_; }

 private:
  void damage_place(Draws& draws, Message& message);
  void damage_numbers(Draws& draws, Header& header);
  void damage_payload(Draws& draws, Message& message);
  void damage_body(Draws& draws, Message& message);
  void damage_plan(Draws& draws, Plan& plan);
  void damage_worker(Draws& draws, WorkerPlan& worker);
  void make_data(Draws& draws, Scene& scene, Message& message);
  void make_body(Draws& draws, Scene& scene, Message& message);
  Payload held(size_t bytes, std::vector<std::byte> content);
  std::string text(Draws& draws);

  const ModelSource& source_;
  const Plan& plan_;
  const Digest spec_digest_;
  Ledger ledger_;
};

inline constexpr MessageKind kAllKinds[] = {
    MessageKind::hello,       MessageKind::load,       MessageKind::ready,   MessageKind::open,
    MessageKind::close,       MessageKind::truncate,   MessageKind::cancel,  MessageKind::fault,
    MessageKind::encode,      MessageKind::denoise,    MessageKind::joined,  MessageKind::join,
    MessageKind::shutdown,    MessageKind::heartbeat,  MessageKind::goodbye, MessageKind::card_link,
    MessageKind::encode_done, MessageKind::candidates, MessageKind::drain};
inline constexpr char kEvilEndpoint[] = "wire://evil", kNoEndpoint[] = "wire://nobody";

}  // namespace potluck
