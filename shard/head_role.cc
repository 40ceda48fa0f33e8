// The head's two turns of a step: it embeds a canvas and sends it round; when it is back, it makes
// candidates of it.
#include "shard/head_role.h"

#include <cstring>
#include <string>
#include <utility>

#include "shard/data_message.h"

namespace potluck {
namespace {

bool follows(const std::optional<StepKey>& last, StepKey next) {
  if (!last) return false;
  --next.step;
  return *last == next;
}

}  // namespace

HeadRole::HeadRole(const ModelSource& source, const Plan& plan, Backend& backend)
    : spec_(source.spec()),
      plan_(plan),
      backend_(backend),
      hop_(hop_out(plan, kHeadPeer)),
      head_(source, plan, backend) {
  for (int i = 0; i < plan.sessions; ++i)
    free_soft_.push_back({head_.new_soft(), head_.new_soft()});
}

void HeadRole::open(uint64_t session) {
  if (sessions_.count(session))
    throw Fault(FaultKind::refused, "session " + std::to_string(session) + " is open already");
  if (free_soft_.empty())
    throw Fault(FaultKind::memory, "all " + std::to_string(plan_.sessions) + " sessions are open");
  sessions_[session].soft = free_soft_.back();
  free_soft_.pop_back();
}

void HeadRole::close(uint64_t session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  free_soft_.push_back(found->second.soft);
  sessions_.erase(found);
}

void HeadRole::truncate(uint64_t session, int length) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || length < 0 || length > found->second.length)
    throw Fault(FaultKind::refused, "session " + std::to_string(session) +
                                        " is not one of at least " + std::to_string(length) +
                                        " tokens");
  Session& kept = found->second;
  kept.length = length;
  kept.finished.reset();
  kept.sent.reset();
}

void HeadRole::rejoin(const Plan& plan, PeerId) {
  plan_ = plan;
  while (!sessions_.empty()) close(sessions_.begin()->first);
}

Ready HeadRole::sizes() const {
  Ready ready;
  ready.weight_bytes = head_.weight_bytes();
  return ready;
}

HeadRole::Session& HeadRole::session_of(const Header& header) {
  const auto found = sessions_.find(header.session);
  if (found == sessions_.end()) refuse(header, "the session is not open here");
  return found->second;
}

Message HeadRole::run(const Message& message) {
  const Header& h = message.header;
  Session& session = session_of(h);
  // A denoise from the coordinator brings ids; one from the last stage, its activations.
  if (h.source != kCoordinatorPeer) return answer(message, session);
  check_shape(message, spec_, plan_, sizeof(int32_t));
  check_length(h, session.length);
  return h.kind == MessageKind::encode ? encode(message, session) : denoise(message, session);
}

std::vector<int32_t> HeadRole::ids_of(const Message& message) const {
  if (message.payload.memory != MemoryKind::host) refuse(message.header, "its ids lie on a card");
  std::vector<int32_t> ids(message.header.rows);
  std::memcpy(ids.data(), message.payload.data, ids.size() * sizeof(int32_t));
  for (int32_t id : ids)
    if (id < 0 || id >= spec_.vocab)
      refuse(message.header, "id " + std::to_string(id) + " is outside the vocabulary of " +
                                 std::to_string(spec_.vocab));
  return ids;
}

Message HeadRole::encode(const Message& message, Session& session) {
  const Header& h = message.header;
  const Message out = embed(h, ids_of(message), Tensor{});
  session.length += h.rows;
  session.finished.reset();
  session.sent.reset();
  return out;
}

Message HeadRole::denoise(const Message& message, Session& session) {
  const Header& h = message.header;
  if (session.finished == h.key) return candidates(h, session);
  if (h.key.step != 0 && !follows(session.finished, h.key))
    refuse(h, "step " + std::to_string(h.key.step) + " does not follow the last finished step");
  const Message out = embed(h, ids_of(message), h.key.step == 0 ? Tensor{} : session.soft[0]);
  session.sent = h.key;
  return out;
}

Message HeadRole::embed(const Header& header, const std::vector<int32_t>& ids, Tensor soft) {
  const Segment segment = segment_of(header, 0);
  head_.embed(std::span(&segment, 1), ids, std::span(&soft, 1));
  Message out = activations(header, backend_, head_.workspace().x, spec_.hidden, hop_);
  out.header.destination = next();
  return out;
}

// The canvas is back from the last stage.
Message HeadRole::answer(const Message& message, Session& session) {
  const Header& h = message.header;
  if (h.kind != MessageKind::denoise) refuse(h, "only a canvas comes back to the head");
  check_activations(message, spec_, plan_, plan_.stages.back().hop_type);
  if (session.sent != h.key)
    refuse(h, "step " + std::to_string(h.key.step) + " of canvas " + std::to_string(h.key.canvas) +
                  " is back, but it is not the one on its way");
  const Segment segment = segment_of(h, 0);
  unpack(message, backend_, spec_.hidden, head_.workspace().x);
  session.candidates = head_.answer(std::span(&segment, 1), std::span(&session.soft[1], 1)).front();
  std::swap(session.soft[0], session.soft[1]);
  session.finished = std::exchange(session.sent, std::nullopt);
  return candidates(h, session);
}

Message HeadRole::candidates(const Header& header, const Session& session) {
  Message out;
  out.header = header;
  out.header.kind = MessageKind::candidates;
  out.header.destination = kCoordinatorPeer;
  out.payload = encode_candidates(session.candidates);
  return out;
}

}  // namespace potluck
