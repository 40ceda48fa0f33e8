// The two roles of a loaded worker: each checks a message, runs its pass and makes the next
// message.
#include "shard/ring_role.h"

#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shard/head.h"
#include "shard/kv_cache.h"
#include "shard/stage.h"
#include "topology/base/check.h"

namespace potluck {
namespace {

[[noreturn]] void refuse(const Header& header, const std::string& why) {
  throw Fault(FaultKind::refused, std::string(message_kind_name(header.kind)) + " of session " +
                                      std::to_string(header.session) + ": " + why);
}

Mode mode_of(const Header& header) {
  return header.kind == MessageKind::encode ? Mode::encode : Mode::denoise;
}

// Rows, positions and payload bytes against the model and the plan, before anything is touched.
void check_shape(const Message& message, const ModelSpec& spec, const Plan& plan, size_t row_size) {
  const Header& h = message.header;
  const int rows_max = h.kind == MessageKind::encode ? plan.chunk : spec.canvas;
  if (h.rows < 1 || h.rows > rows_max)
    refuse(h,
           std::to_string(h.rows) + " rows; at most " + std::to_string(rows_max) + " are planned");
  if (h.first_position != h.kv_length_before || h.first_position < 0 ||
      h.first_position > plan.ctx_size - h.rows)
    refuse(h, "position " + std::to_string(h.first_position) + " does not fit a context of " +
                  std::to_string(plan.ctx_size) + " after " + std::to_string(h.kv_length_before));
  if (message.payload.bytes != row_size * static_cast<size_t>(h.rows))
    refuse(h, "payload of " + std::to_string(message.payload.bytes) + " bytes; " +
                  std::to_string(row_size * static_cast<size_t>(h.rows)) + " expected");
}

void check_length(const Header& header, int length) {
  if (header.kv_length_before != length)
    refuse(header, "expects " + std::to_string(header.kv_length_before) + " cached tokens, has " +
                       std::to_string(length));
}

bool follows(const std::optional<StepKey>& last, StepKey next) {
  if (!last) return false;
  --next.step;
  return *last == next;
}

Segment segment_of(const Header& header, int slot) {
  Segment s;
  s.mode = mode_of(header);
  s.slot = slot;
  s.position = header.first_position;
  s.rows = header.rows;
  s.inverse_temperature = static_cast<float>(1.0 / header.temperature);
  s.key = header.key;
  return s;
}

// The message that carries workspace.x on.
Message activations(const Header& header, Backend& backend, Tensor x, int hidden, DType hop) {
  Message out;
  out.header = header;
  out.header.dtype = hop;
  std::vector<std::byte> wire(row_bytes(hop, hidden) * static_cast<size_t>(header.rows));
  backend.pack(x, hop, header.rows, hidden, wire.data());
  backend.wait();
  out.payload = own_payload(std::move(wire));
  return out;
}

class StageRole final : public RingRole {
 public:
  StageRole(const ModelSource& source, const Plan& plan, int index, Backend& backend)
      : spec_(source.spec()),
        plan_(plan),
        index_(index),
        backend_(backend),
        stage_(source, plan_, plan_.stages[static_cast<size_t>(index)].layers, backend) {}

  void open(uint64_t session, uint64_t fork_of) override {
    fork_of ? stage_.kv().fork(fork_of, session) : stage_.kv().open(session);
  }
  void close(uint64_t session) override { stage_.kv().close(session); }
  void truncate(uint64_t session, int length) override { stage_.kv().truncate(session, length); }

  PeerId next() const override { return last() ? kHeadPeer : stage_peer(index_ + 1); }

  Ready sizes() const override {
    Ready ready;
    ready.weight_bytes = stage_.weight_bytes();
    ready.kv_bytes = stage_.kv().bytes();
    ready.workspace_bytes = workspace_bytes(stage_.workspace());
    return ready;
  }

  Message run(const Message& message) override {
    const Header& h = message.header;
    check_shape(message, spec_, plan_, row_bytes(h.dtype, spec_.hidden));
    if (!stage_.kv().has(h.session)) refuse(h, "the session is not open here");
    const bool encode = h.kind == MessageKind::encode;
    const int length = stage_.kv().length(h.session);
    if (encode && last() && h.kv_length_before + h.rows == length) return encode_done(h);
    check_length(h, length);
    const Segment segment = segment_of(h, stage_.kv().slot(h.session));
    backend_.unpack(message.payload.data, h.dtype, h.rows, spec_.hidden, stage_.workspace().x);
    stage_.forward(std::span(&segment, 1));
    if (encode) stage_.kv().advance(h.session, h.rows);
    if (encode && last()) return encode_done(h);
    Message out = activations(h, backend_, stage_.workspace().x, spec_.hidden,
                              plan_.stages[static_cast<size_t>(index_)].hop);
    out.header.destination = next();
    return out;
  }

 private:
  bool last() const { return index_ + 1 == plan_.stage_count(); }

  Message encode_done(const Header& header) {
    backend_.wait();
    Message done;
    done.header = header;
    done.header.kind = MessageKind::encode_done;
    done.header.destination = kCoordinatorPeer;
    return done;
  }

  const ModelSpec& spec_;
  const Plan plan_;
  const int index_;
  Backend& backend_;
  Stage stage_;
};

// The head keeps its state keyed by step: soft[s − 1], soft[s] and Candidates[s].
class HeadRole final : public RingRole {
 public:
  HeadRole(const ModelSource& source, const Plan& plan, Backend& backend)
      : spec_(source.spec()), plan_(plan), backend_(backend), head_(source, plan, backend) {
    for (int i = 0; i < plan.sessions; ++i)
      free_soft_.push_back({head_.new_soft(), head_.new_soft()});
  }

  void open(uint64_t session, uint64_t fork_of) override {
    if (sessions_.count(session)) throw Fault(FaultKind::refused, "session is open already");
    if (fork_of && !sessions_.count(fork_of))
      throw Fault(FaultKind::refused,
                  "session " + std::to_string(fork_of) + " to fork is not open");
    if (free_soft_.empty())
      throw Fault(FaultKind::memory,
                  "all " + std::to_string(plan_.sessions) + " sessions are open");
    Session& s = sessions_[session];
    s.soft = free_soft_.back();
    free_soft_.pop_back();
    if (fork_of) s.length = sessions_.at(fork_of).length;
  }

  void close(uint64_t session) override {
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return;
    free_soft_.push_back(found->second.soft);
    sessions_.erase(found);
  }

  void truncate(uint64_t session, int length) override {
    Session& s = sessions_.at(session);
    s.length = length;
    s.finished.reset();
  }

  PeerId next() const override { return stage_peer(0); }

  Ready sizes() const override {
    Ready ready;
    ready.weight_bytes = head_.weight_bytes();
    return ready;
  }

  Message run(const Message& message) override {
    const Header& h = message.header;
    const auto found = sessions_.find(h.session);
    if (found == sessions_.end()) refuse(h, "the session is not open here");
    if (h.source != kCoordinatorPeer) return answer(message, found->second);
    check_shape(message, spec_, plan_, sizeof(int32_t));
    return h.kind == MessageKind::encode ? encode(message, found->second)
                                         : denoise(message, found->second);
  }

 private:
  struct Session {
    int length = 0;                   // tokens encoded
    std::optional<StepKey> finished;  // the last finished step since the last encode
    std::array<Tensor, 2> soft;       // [0]: of the last finished step; [1]: spare
    Candidates candidates;            // of the last finished step
  };

  std::vector<int32_t> ids_of(const Message& message) const {
    std::vector<int32_t> ids(static_cast<size_t>(message.header.rows));
    std::memcpy(ids.data(), message.payload.data, ids.size() * sizeof(int32_t));
    for (int32_t id : ids)
      if (id < 0 || id >= spec_.vocab)
        refuse(message.header, "id " + std::to_string(id) + " is outside the vocabulary of " +
                                   std::to_string(spec_.vocab));
    return ids;
  }

  Message encode(const Message& message, Session& session) {
    const Header& h = message.header;
    check_length(h, session.length);
    const Message out = embed(h, ids_of(message), Tensor{});
    session.length += h.rows;
    session.finished.reset();
    return out;
  }

  Message denoise(const Message& message, Session& session) {
    const Header& h = message.header;
    check_length(h, session.length);
    if (h.rows != spec_.canvas)
      refuse(h, "a canvas has " + std::to_string(spec_.canvas) + " rows, not " +
                    std::to_string(h.rows));
    if (session.finished == h.key) return candidates(h, session);
    if (h.key.step != 0 && !follows(session.finished, h.key))
      refuse(h, "step " + std::to_string(h.key.step) + " does not follow the last finished step");
    return embed(h, ids_of(message), h.key.step == 0 ? Tensor{} : session.soft[0]);
  }

  Message embed(const Header& header, const std::vector<int32_t>& ids, Tensor soft) {
    const Segment segment = segment_of(header, 0);
    head_.embed(std::span(&segment, 1), ids, std::span(&soft, 1));
    Message out = activations(header, backend_, head_.workspace().x, spec_.hidden, plan_.head.hop);
    out.header.destination = next();
    return out;
  }

  // The canvas is back from the last stage.
  Message answer(const Message& message, Session& session) {
    const Header& h = message.header;
    if (h.kind != MessageKind::denoise) refuse(h, "only a canvas comes back to the head");
    check_shape(message, spec_, plan_, row_bytes(h.dtype, spec_.hidden));
    const Segment segment = segment_of(h, 0);
    backend_.unpack(message.payload.data, h.dtype, h.rows, spec_.hidden, head_.workspace().x);
    session.candidates =
        head_.answer(std::span(&segment, 1), std::span(&session.soft[1], 1)).front();
    std::swap(session.soft[0], session.soft[1]);
    session.finished = h.key;
    return candidates(h, session);
  }

  static Message candidates(const Header& header, const Session& session) {
    Message out;
    out.header = header;
    out.header.kind = MessageKind::candidates;
    out.header.destination = kCoordinatorPeer;
    out.payload = encode_candidates(session.candidates);
    return out;
  }

  const ModelSpec& spec_;
  const Plan plan_;
  Backend& backend_;
  Head head_;
  std::map<uint64_t, Session> sessions_;
  std::vector<std::array<Tensor, 2>> free_soft_;
};

}  // namespace

std::unique_ptr<RingRole> make_ring_role(const ModelSource& source, const Plan& plan, PeerId you,
                                         Backend& backend) {
  if (you == kHeadPeer) return std::make_unique<HeadRole>(source, plan, backend);
  CHECK(you >= stage_peer(0) && you < stage_peer(plan.stage_count()), you);
  return std::make_unique<StageRole>(source, plan, you - stage_peer(0), backend);
}

}  // namespace potluck
