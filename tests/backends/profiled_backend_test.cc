// A profiled step's counts are checked against arithmetic by hand.
#include "backends/profiled/profiled_backend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "backends/cpu/cpu_backend.h"
#include "shard/head.h"
#include "shard/stage.h"
#include "topology/base/clock.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {
namespace {

// Two sliding layers (windows of 24) and a full one: H 64, 4 heads; KV heads 2 of 16 or 1 of 32;
// MLP 64, experts 8 of 32 (top 2), V 512, C 16.
constexpr char kProfiledModel[] = "synthetic:nano?layers=3&type=f32";
constexpr int kPrompt = 40;

class Profiled : public testing::Test {
 protected:
  Profiled() : head_(*source_, plan(), backend_), stage_(*source_, plan(), {0, 3}, backend_) {
    stage_.kv().open(1);
    soft_[0] = head_.new_soft();
    soft_[1] = head_.new_soft();
  }

  static Plan plan() {
    Plan plan;
    plan.stages.push_back({.name = "stage", .layers = {0, 3}});
    plan.kv = DType::bf16;
    plan.chunk = kPrompt;
    plan.ctx_size = 128;
    return plan;
  }

  StepWork encode() {
    Segment s;
    s.rows = kPrompt;
    run(s, {});
    stage_.kv().advance(1, kPrompt);
    return backend_.take();
  }

  // A self-conditioned step behind what is encoded.
  StepWork step() {
    Segment s;
    s.mode = Mode::denoise;
    s.position = stage_.kv().length(1);
    s.rows = 16;
    run(s, soft_[0]);
    head_.answer(std::span(&s, 1), std::span(&soft_[1], 1));
    return backend_.take();
  }

  void run(const Segment& s, Tensor soft) {
    const std::vector<int32_t> ids(static_cast<size_t>(s.rows), 7);
    head_.embed(std::span(&s, 1), ids, std::span(&soft, 1));
    backend_.copy(head_.workspace().x, 0, stage_.workspace().x, 0, head_.workspace().x.bytes);
    stage_.forward(std::span(&s, 1));
    backend_.copy(stage_.workspace().x, 0, head_.workspace().x, 0, head_.workspace().x.bytes);
  }

  // A soft embedding as the host reads it.
  static std::vector<uint32_t> bits(Backend& backend, Tensor soft) {
    std::vector<uint32_t> values(16 * 64);
    backend.download(soft, values.size() * sizeof(uint32_t), values.data());
    backend.wait();
    return values;
  }

  static double operations(const StepWork& work, Part part) {
    const auto& each = work[static_cast<size_t>(part)].operations;
    return std::accumulate(each.begin(), each.end(), 0.0,
                           [](double sum, const auto& one) { return sum + one.second; });
  }
  static double stored(const StepWork& work, Part part) {
    return work[static_cast<size_t>(part)].stored_bytes;
  }
  static double cached(const StepWork& work, Part part) {
    return work[static_cast<size_t>(part)].cache_bytes;
  }
  static double total_seconds(const StepWork& work) {
    return std::accumulate(work.begin(), work.end(), 0.0,
                           [](double sum, const PartWork& part) { return sum + part.seconds; });
  }

  const std::unique_ptr<ModelSource> source_ = open_model(kProfiledModel);
  CpuBackend cpu_{2};
  ProfiledBackend backend_{cpu_};
  Head head_;
  Stage stage_;
  Tensor soft_[2];
};

TEST_F(Profiled, OperationsOfAStepAreThoseOfItsShapes) {
  encode();
  const StepWork work = step();
  // Q, K, V, O of a sliding layer: 64 + 32 + 32 + 64 outputs of 64; of the full one, without V: 128
  // + 32 of 64, and 64 of 128.
  EXPECT_EQ(operations(work, Part::projections),
            2.0 * 16 * (2 * (64 + 32 + 32 + 64) * 64 + (128 + 32) * 64 + 64 * 128));
  // Each of 4 heads against 23 cached keys (window − 1) of 16, or all 40 of 32, and 16 of its own;
  // scores and sums.
  EXPECT_EQ(operations(work, Part::attention),
            2 * 2.0 * 16 * 4 * (2 * (23 + 16) * 16 + (40 + 16) * 32));
  EXPECT_EQ(operations(work, Part::router), 3 * 2.0 * 16 * 8 * 64);
  EXPECT_EQ(operations(work, Part::experts), 3 * 2.0 * 16 * 2 * (64 * 64 + 64 * 32));
  EXPECT_EQ(operations(work, Part::dense), 3 * 2.0 * 16 * 3 * 64 * 64);
  EXPECT_EQ(operations(work, Part::conditioning), 2.0 * 16 * 3 * 64 * 64);
  EXPECT_EQ(operations(work, Part::head), 2 * 2.0 * 16 * 512 * 64);
  EXPECT_EQ(operations(work, Part::norms), 0);
}

TEST_F(Profiled, BytesAreOfEachOperandOnce) {
  encode();
  const StepWork work = step();
  const double x = 16 * 64 * 4;  // [16, 64] of f32
  // Gate, up and down, x and what comes out; GELU reads two and writes one.
  EXPECT_EQ(stored(work, Part::conditioning), 3 * 64 * 64 * 4);
  EXPECT_EQ(cached(work, Part::conditioning), 3 * 2 * x + 3 * x);
  EXPECT_EQ(stored(work, Part::head), 512 * 64 * 4);
  EXPECT_EQ(cached(work, Part::head), 2 * x);
  // bf16 keys and values, 32 wide on every layer; q and out are 64 wide, and 128 on the full layer.
  EXPECT_EQ(stored(work, Part::attention), 2 * 32 * 2 * (2 * (23 + 16) + 40 + 16));
  EXPECT_EQ(cached(work, Part::attention), 2 * x * (1 + 1 + 2));
  // Rows of one id, at places of their own, hit 2 to 8 experts a layer, whole ones.
  const double expert = (64 * 64 + 64 * 32) * 4;
  EXPECT_GE(stored(work, Part::experts), 3 * 2 * expert);
  EXPECT_LE(stored(work, Part::experts), 3 * 8 * expert);
  EXPECT_EQ(std::remainder(stored(work, Part::experts), expert), 0);
}

TEST_F(Profiled, AnEncodedRowSeesItsWindowAndTheLastLayerOnlyKeysAndValues) {
  const StepWork work = encode();
  // Rows 0 to 22 of 40 see t + 1 keys, the others 24; both layers that attend slide.
  const double keys = 23 * 24 / 2 + (40 - 23) * 24;
  EXPECT_EQ(operations(work, Part::attention), 2 * 2.0 * keys * 4 * 2 * 16);
  EXPECT_EQ(stored(work, Part::attention), 2 * 2 * 40 * 32 * 2);
  EXPECT_EQ(cached(work, Part::attention), 2 * 2 * 40 * 64 * 4);
  EXPECT_EQ(operations(work, Part::projections),
            2.0 * 40 * (2 * (64 + 32 + 32 + 64) * 64 + 32 * 64));
  EXPECT_EQ(operations(work, Part::head), 0);
}

TEST_F(Profiled, PartsTakeTimeAndNoMoreThanTheWhole) {
  const Time begin = now();
  const StepWork work = step();
  const double whole = seconds(now() - begin);
  EXPECT_LE(total_seconds(work), whole);
  for (const Part part : {Part::projections, Part::attention, Part::router, Part::experts,
                          Part::dense, Part::norms, Part::conditioning, Part::head})
    EXPECT_GT(work[static_cast<size_t>(part)].seconds, 0) << part_name(part);
  EXPECT_EQ(total_seconds(backend_.take()), 0) << "take() takes all";
}

TEST_F(Profiled, WhileItIsOffNothingIsTimedOrCounted) {
  encode();
  backend_.turn(false);
  const StepWork off = step();
  EXPECT_EQ(total_seconds(off), 0);
  for (const PartWork& part : off) EXPECT_EQ(part.stored_bytes + part.cache_bytes, 0);
  backend_.turn(true);
  EXPECT_GT(operations(step(), Part::experts), 0);
}

TEST_F(Profiled, ComputesWhatTheBackendBelowComputes) {
  encode();
  step();
  CpuBackend plain(2);
  Head head(*source_, plan(), plain);
  Segment s;
  s.mode = Mode::denoise;
  s.rows = 16;
  const std::vector<int32_t> ids(16, 7);
  const Tensor none;
  head.embed(std::span(&s, 1), ids, std::span(&none, 1));
  head_.embed(std::span(&s, 1), ids, std::span(&none, 1));
  const Tensor soft = head.new_soft();
  head.answer(std::span(&s, 1), std::span(&soft, 1));
  head_.answer(std::span(&s, 1), std::span(&soft_[1], 1));
  EXPECT_EQ(bits(plain, soft), bits(backend_, soft_[1]));
}

}  // namespace
}  // namespace potluck
