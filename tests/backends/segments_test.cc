// Canvases side by side in one pass, behind prefixes of unlike lengths: what each gets is, bit for
// bit, what it gets alone.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "shard/head.h"
#include "shard/stage.h"
#include "tests/kernels/isa_test.h"
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
  Ring(const ModelSource& source, cpu::Isa isa)
      : spec_(source.spec()),
        backend_(2, isa),
        head_(source, plan(spec_, isa), backend_),
        stage_(source, plan(spec_, isa), {0, spec_.layer_count()}, backend_) {
    for (int i = 0; i < kCanvases; ++i) {
      before_.push_back(head_.new_soft());
      after_.push_back(head_.new_soft());
      stage_.kv().open(session(i));
      if (kPrefixes[i] > 0) encode(i);
    }
  }

  // A step of these canvases in one pass; `conditioned`: from what keep() kept of each.
  std::vector<Result> step(const std::vector<int>& canvases, bool conditioned) {
    std::vector<Segment> segments;
    std::vector<int32_t> ids;
    std::vector<Tensor> before, after;
    for (int canvas : canvases) {
      segments.push_back(segment(canvas, static_cast<int>(segments.size())));
      for (int t = 0; t < spec_.canvas; ++t) ids.push_back((37 * canvas + 11 * t) % spec_.vocab);
      before.push_back(conditioned ? before_[static_cast<size_t>(canvas)] : Tensor{});
      after.push_back(after_[static_cast<size_t>(canvas)]);
    }
    pass(segments, ids, before);
    return results(segments, head_.answer(segments, after), after);
  }

  // The soft embeddings of the step before become those that the next is conditioned on.
  void keep() { std::swap(before_, after_); }

 private:
  static uint64_t session(int canvas) { return static_cast<uint64_t>(canvas) + 1; }

  static Plan plan(const ModelSpec& spec, cpu::Isa isa) {
    Plan plan;
    plan.stages.push_back({.name = "stage", .layers = {0, spec.layer_count()}});
    plan.precision = isa == cpu::Isa::portable ? Precision::exact : Precision::fast;
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
    backend_.copy(head_.workspace().x, 0, stage_.workspace().x, 0, x_bytes(ids.size()));
    stage_.forward(segments);
    backend_.copy(stage_.workspace().x, 0, head_.workspace().x, 0, x_bytes(ids.size()));
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
    backend_.download(from, rows.size() * sizeof(float), rows.data(), x_bytes(begin));
    backend_.wait();
    return rows;
  }

  size_t x_bytes(size_t rows) const { return rows * spec_.hidden * sizeof(float); }

  const ModelSpec& spec_;
  CpuBackend backend_;
  Head head_;
  Stage stage_;
  std::vector<Tensor> before_, after_;
};

class Segments : public cpu::IsaTest {
 protected:
  static std::vector<Result> alone(Ring& ring, bool conditioned) {
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
  const std::vector<std::vector<int>> orders = {{0, 1, 2, 3, 4}, {4, 0}, {3, 1, 2}};
  for (const char* type : {"q8_0", "bf16", "f32"}) {
    SCOPED_TRACE(type);
    const auto source = open_model(std::string(kModel) + type);
    Ring ring(*source, GetParam());
    const std::vector<Result> first = alone(ring, false);
    for (const auto& order : orders) compare(first, order, ring.step(order, false));
    ring.keep();
    const std::vector<Result> second = alone(ring, true);
    EXPECT_FALSE(same_bits(first[0].x, second[0].x)) << "the second step is not conditioned";
    for (const auto& order : orders) compare(second, order, ring.step(order, true));
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Segments,
                         testing::Values(cpu::Isa::portable, cpu::Isa::amx, cpu::Isa::avx512,
                                         cpu::Isa::avx2),
                         [](const auto& isa) { return std::string(cpu::isa_name(isa.param)); });

}  // namespace
}  // namespace potluck
