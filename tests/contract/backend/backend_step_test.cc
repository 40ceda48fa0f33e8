// Whole passes of head and stage on every kind of backend: canvases side by side behind prefixes of
// unlike lengths, and a ring's messages on a device that is as asynchronous as the contract allows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "shard/head.h"
#include "shard/ring_role.h"
#include "shard/stage.h"
#include "tests/contract/backend/backend_contract.h"
#include "tests/contract/backend/deferred_backend.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {
namespace {

// Canvases of 19 rows, which no tile divides; windows of 24, and a full layer.
constexpr char kModel[] = "synthetic:nano?layers=3&canvas=19&type=";
constexpr int kPrefixes[] = {0, 5, 23, 40, 131};
constexpr int kCanvases = static_cast<int>(std::size(kPrefixes));

// One canvas after a pass.
struct Result {
  std::vector<float> x, soft;
  Candidates candidates;
};

template <typename Value>
bool same_bits(const std::vector<Value>& a, const std::vector<Value>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Value)) == 0;
}

bool same_bits(const Candidates& a, const Candidates& b) {
  return same_bits(a.argmax, b.argmax) && same_bits(a.sample, b.sample) &&
         same_bits(a.entropy, b.entropy);
}

class Ring final {
 public:
  Ring(const ModelSource& source, const BackendKind& kind)
      : spec_(source.spec()),
        backend_(kind.make()),
        head_(source, plan(spec_), *backend_),
        stage_(source, plan(spec_), {0, spec_.layer_count()}, *backend_) {
    for (int i = 0; i < kCanvases; ++i) {
      before_.push_back(head_.new_soft());
      after_.push_back(head_.new_soft());
      stage_.kv().open(session(i));
      if (kPrefixes[i] > 0) encode(i);
    }
  }

  // A step of these canvases in one pass. Those that are conditioned go on from what keep() kept.
  std::vector<Result> step(const std::vector<int>& canvases, const std::set<int>& conditioned) {
    std::vector<Segment> segments;
    std::vector<int32_t> ids;
    std::vector<Tensor> before, after;
    for (int canvas : canvases) {
      segments.push_back(segment(canvas, static_cast<int>(segments.size())));
      for (int t = 0; t < spec_.canvas; ++t) ids.push_back((37 * canvas + 11 * t) % spec_.vocab);
      before.push_back(conditioned.count(canvas) ? before_[static_cast<size_t>(canvas)] : Tensor{});
      after.push_back(after_[static_cast<size_t>(canvas)]);
    }
    pass(segments, ids, before);
    return results(segments, head_.answer(segments, after), after);
  }

  // The soft embeddings of the step before become those that the next is conditioned on.
  void keep() { std::swap(before_, after_); }

 private:
  static uint64_t session(int canvas) { return static_cast<uint64_t>(canvas) + 1; }

  static Plan plan(const ModelSpec& spec) {
    Plan plan;
    plan.stages.push_back({.name = "stage", .layers = {0, spec.layer_count()}});
    plan.ctx_size = 256;
    plan.sessions = kCanvases;
    return plan;
  }

  void encode(int canvas) {
    Segment s;
    s.slot = stage_.kv().slot(session(canvas));
    s.rows = kPrefixes[canvas];
    std::vector<int32_t> ids;
    for (int t = 0; t < s.rows; ++t) ids.push_back((53 * canvas + 7 * t) % spec_.vocab);
    pass({s}, ids, {});
    stage_.kv().advance(session(canvas), s.rows);
  }

  Segment segment(int canvas, int place) {
    Segment s;
    s.mode = Mode::denoise;
    s.slot = stage_.kv().slot(session(canvas));
    s.position = kPrefixes[canvas];
    s.row_begin = place * spec_.canvas;
    s.rows = spec_.canvas;
    s.inverse_temperature = 1.0f + 0.25f * static_cast<float>(canvas);
    s.key.answer = static_cast<uint32_t>(canvas);
    s.key.seed = 7;
    return s;
  }

  void pass(const std::vector<Segment>& segments, const std::vector<int32_t>& ids,
            const std::vector<Tensor>& before) {
    head_.embed(segments, ids, before);
    backend_->copy(head_.workspace().x, 0, stage_.workspace().x, 0, x_bytes(ids.size()));
    stage_.forward(segments);
    backend_->copy(stage_.workspace().x, 0, head_.workspace().x, 0, x_bytes(ids.size()));
  }

  std::vector<Result> results(const std::vector<Segment>& segments,
                              const std::vector<Candidates>& candidates,
                              const std::vector<Tensor>& soft) {
    std::vector<Result> results;
    for (size_t i = 0; i < segments.size(); ++i) {
      const auto begin = static_cast<size_t>(segments[i].row_begin);
      results.push_back({floats(stage_.workspace().x, begin), floats(soft[i], 0), candidates[i]});
    }
    return results;
  }

  // A canvas' rows [C, H] from row `begin`.
  std::vector<float> floats(Tensor from, size_t begin) {
    std::vector<float> rows(static_cast<size_t>(spec_.canvas) * spec_.hidden);
    backend_->download(from, rows.size() * sizeof(float), rows.data(), x_bytes(begin));
    backend_->wait();
    return rows;
  }

  size_t x_bytes(size_t rows) const { return rows * spec_.hidden * sizeof(float); }

  const ModelSpec& spec_;
  std::unique_ptr<Backend> backend_;
  Head head_;
  Stage stage_;
  std::vector<Tensor> before_, after_;
};

std::shared_ptr<const ModelSource> model(const char* type) {
  return open_model(std::string(kModel) + type);
}

const std::set<int> kNone, kAll = {0, 1, 2, 3, 4};

// The types of weights on a kind of backend. Emulated cards, which take long, have one alone, as do
// all kinds under TSan; the contract looks at the products of every type.
std::vector<const char*> types_on(const BackendKind& kind) {
#if defined(__SANITIZE_THREAD__)
  return {"q8_0"};
#endif
  if (kind.emulated) return {"q8_0"};
  return {"q8_0", "bf16", "f32"};
}

using KindAndType = std::pair<BackendKind, const char*>;

std::vector<KindAndType> kinds_and_types() {
  std::vector<KindAndType> all;
  for (const BackendKind& kind : backend_kinds())
    for (const char* type : types_on(kind)) all.emplace_back(kind, type);
  return all;
}

class Segments : public testing::TestWithParam<KindAndType> {
 protected:
  void SetUp() override {
    if (!kind().here) GTEST_SKIP() << kind().name << " is not on this machine";
  }

  static const BackendKind& kind() { return GetParam().first; }
  static const char* type() { return GetParam().second; }

  static std::vector<Result> alone(Ring& ring, const std::set<int>& conditioned) {
    std::vector<Result> results;
    for (int i = 0; i < kCanvases; ++i) results.push_back(ring.step({i}, conditioned).front());
    return results;
  }

  static void compare(const std::vector<Result>& each, const std::vector<int>& order,
                      const std::vector<Result>& together) {
    for (size_t i = 0; i < order.size(); ++i) {
      SCOPED_TRACE("behind " + std::to_string(kPrefixes[order[i]]) + " tokens, place " +
                   std::to_string(i));
      const Result& expected = each[static_cast<size_t>(order[i])];
      EXPECT_TRUE(same_bits(expected.x, together[i].x)) << "hidden states";
      EXPECT_TRUE(same_bits(expected.soft, together[i].soft)) << "soft embeddings";
      EXPECT_TRUE(same_bits(expected.candidates, together[i].candidates)) << "candidates";
    }
  }
};

TEST_P(Segments, OfSeveralCanvasesHaveTheBitsOfEachAlone) {
  const std::vector<int> all = {0, 1, 2, 3, 4}, some = {3, 1, 2}, others = {4, 0};
  const auto source = model(type());
  Ring ring(*source, kind());
  const std::vector<Result> first = alone(ring, kNone);
  compare(first, all, ring.step(all, kNone));
  ring.keep();
  const std::vector<Result> second = alone(ring, kAll);
  EXPECT_FALSE(same_bits(first[0].x, second[0].x)) << "the second step is not conditioned";
  for (const auto& order : {some, others}) compare(second, order, ring.step(order, kAll));
  SCOPED_TRACE("first steps beside later ones");
  const std::set<int> later = {0, 3};
  std::vector<Result> each = first;
  for (const int i : later) each[static_cast<size_t>(i)] = second[static_cast<size_t>(i)];
  compare(each, all, ring.step(all, later));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Segments, testing::ValuesIn(kinds_and_types()),
                         [](const auto& both) {
                           return both.param.first.name + "_" + both.param.second;
                         });

// Makes one of its waits too little: host buffers stay as they are. The device's own work is done
// by the next.
class ForgetsAWait final : public DeferredBackend {
 public:
  ForgetsAWait(std::unique_ptr<Backend> below, int forgotten)
      : DeferredBackend(std::move(below)), forgotten_(forgotten) {}
  void wait() override { waits_++ == forgotten_ ? forget_host() : DeferredBackend::wait(); }
  int waits() const { return waits_; }

 private:
  const int forgotten_;
  int waits_ = 0;
};

constexpr int kNeverForgotten = -1;

// The roles of a ring, driven by hand: a prompt and two steps of one canvas.
class Roles final {
 public:
  // The head's and the stage's device.
  Roles(const ModelSource& source, Backend& head, Backend& stage)
      : spec_(source.spec()),
        head_(make_ring_role(source, plan(), kHeadPeer, head)),
        stage_(make_ring_role(source, plan(), stage_peer(0), stage)) {
    head_->open(kSession);
    stage_->open(kSession);
  }

  // The payloads of all messages in their order.
  std::vector<std::vector<std::byte>> run() {
    Message prompt = message(MessageKind::encode, 40, 0);
    stage_->run(sent(head_->run(prompt), kHeadPeer));
    for (uint32_t step : {0u, 1u}) {
      Message canvas = message(MessageKind::denoise, spec_.canvas, 40);
      canvas.header.key.step = step;
      const Message there = sent(head_->run(canvas), kHeadPeer);
      const Message back = sent(stage_->run(there), stage_peer(0));
      sent(head_->run(back), kHeadPeer);
    }
    return payloads_;
  }

 private:
  static constexpr uint64_t kSession = 1;

  Plan plan() const {
    Plan plan;
    plan.stages.push_back({.name = "stage", .layers = {0, spec_.layer_count()}});
    plan.ctx_size = 256;
    return plan;
  }

  Message message(MessageKind kind, int rows, int position) const {
    std::vector<int32_t> ids;
    for (int t = 0; t < rows; ++t) ids.push_back((41 * t + 3) % spec_.vocab);
    Message m;
    m.header.kind = kind;
    m.header.source = kCoordinatorPeer;
    m.header.session = kSession;
    m.header.key.seed = 7;
    m.header.first_position = m.header.kv_length_before = position;
    m.header.rows = rows;
    const auto* bytes = reinterpret_cast<const std::byte*>(ids.data());
    m.payload = own_payload({bytes, bytes + ids.size() * sizeof(int32_t)});
    return m;
  }

  Message sent(Message m, PeerId from) {
    m.header.source = from;
    payloads_.emplace_back(m.payload.data, m.payload.data + m.payload.bytes);
    return m;
  }

  const ModelSpec& spec_;
  std::unique_ptr<RingRole> head_, stage_;
  std::vector<std::vector<std::byte>> payloads_;
};

std::unique_ptr<Backend> made(const std::string& name) {
  const std::vector<BackendKind> kinds = backend_kinds();
  return std::find_if(kinds.begin(), kinds.end(),
                      [&](const BackendKind& kind) { return kind.name == name; })
      ->make();
}

TEST(Asynchronous, RolesSendTheSameBytes) {
  const auto source = model("q8_0");
  const auto direct = made("Exact"), head = made("Deferred"), stage = made("Deferred");
  const auto expected = Roles(*source, *direct, *direct).run();
  EXPECT_EQ(expected.size(), 7u);
  EXPECT_EQ(Roles(*source, *head, *stage).run(), expected);
}

// Each wait of a prompt and two steps is one that its message needs: without it the message carries
// spoilt bytes, or is refused for them.
TEST(Asynchronous, AForgottenWaitIsSeen) {
  const auto source = model("q8_0");
  const auto direct = made("Exact");
  const auto expected = Roles(*source, *direct, *direct).run();
  const auto run = [&](int forgotten, bool of_head) {
    ForgetsAWait forgets(made("Exact"), forgotten);
    const auto other = made("Deferred");
    const auto payloads =
        Roles(*source, of_head ? forgets : *other, of_head ? *other : forgets).run();
    return std::pair(payloads, forgets.waits());
  };
  for (const bool of_head : {true, false}) {
    const auto [payloads, waits] = run(kNeverForgotten, of_head);
    EXPECT_EQ(payloads, expected);
    EXPECT_EQ(waits, of_head ? 5 : 3);
    for (int forgotten = 0; forgotten < waits; ++forgotten)
      EXPECT_NE(run(forgotten, of_head).first, expected)
          << (of_head ? "head" : "stage") << ", wait " << forgotten;
  }
}

}  // namespace
}  // namespace potluck
