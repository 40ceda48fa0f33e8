// The fast experts are held to the reference: odd counts, one expert hit by all rows, some by none.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "kernels/cpu/fast/experts.h"
#include "kernels/cpu/packed/choose.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/weight_view.h"
#include "tests/kernels/isa_test.h"

namespace potluck::cpu {
namespace {

using Floats = std::vector<float>;

struct Routed {
  int64_t rows, hidden, inner;
  int count, used;
  Floats x, weight;
  std::vector<int32_t> expert;
  std::vector<std::byte> gate_up, down;

  Routed(int64_t rows_, int64_t hidden_, int64_t inner_, int count_, int used_)
      : rows(rows_), hidden(hidden_), inner(inner_), count(count_), used(used_) {
    std::mt19937 random(8);
    std::normal_distribution<float> normal;
    const auto floats = [&](int64_t n, float scale) {
      Floats values(static_cast<size_t>(n));
      for (float& v : values) v = normal(random) * scale;
      return values;
    };
    x = floats(rows * hidden, 1);
    weight = floats(rows * used, 0.5f);
    gate_up = stored(floats(count * 2 * inner * hidden, 1 / std::sqrt(static_cast<float>(hidden))));
    down = stored(floats(count * hidden * inner, 1 / std::sqrt(static_cast<float>(inner))));
    // Expert 0 serves every row; the last serves none.
    for (int64_t t = 0; t < rows; ++t)
      for (int k = 0; k < used; ++k)
        expert.push_back(k == 0 ? 0 : static_cast<int32_t>(1 + (t + k) % (count - 2)));
  }

  static std::vector<std::byte> stored(const Floats& values) {
    std::vector<std::byte> bytes(row_bytes(DType::q8_0, static_cast<int64_t>(values.size())));
    quantize_row(DType::q8_0, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
    return bytes;
  }

  ExpertsView view() const {
    return {{DType::q8_0, gate_up.data(), count * 2 * inner, hidden},
            {DType::q8_0, down.data(), count * hidden, inner},
            count,
            used,
            inner,
            hidden};
  }

  Floats reference() const {
    ThreadPool pool(2);
    Floats out(x.size());
    std::vector<std::byte> scratch(experts_scratch(view(), rows, 2));
    experts({x.data(), rows, expert.data(), weight.data()}, view(), out.data(), scratch.data(),
            pool);
    return out;
  }

  // Runs with the file's blocks, or with stored panels where the product has them.
  Floats fast(Isa isa, int64_t first, int64_t n, int threads, bool stored = false) const {
    ThreadPool pool(threads);
    const PackedProduct& product = packed_product(isa, DType::q8_0, Use::few);
    stored = stored && product.store_panel;
    ExpertsView view = this->view();
    const auto store = [&](WeightView& w) {
      void* panels = std::aligned_alloc(64, store_bytes(product, w, count));
      store_panels(product, w, count, static_cast<std::byte*>(panels), pool);
      w.blocks = panels;
      return panels;
    };
    void* gate_up_panels = stored ? store(view.gate_up) : nullptr;
    void* down_panels = stored ? store(view.down) : nullptr;
    Floats out(static_cast<size_t>(n * hidden));
    void* scratch = std::aligned_alloc(64, fast_experts_scratch(isa, view, n, threads));
    fast_experts(
        {isa, view, {stored, stored}},
        {x.data() + first * hidden, n, expert.data() + first * used, weight.data() + first * used},
        out.data(), scratch, pool);
    std::free(scratch);
    std::free(gate_up_panels);
    std::free(down_panels);
    return out;
  }
};

class FastExperts : public IsaTest {};
POTLUCK_FOR_EACH_ISA(FastExperts);

// x and the inner values round to 1/254 of their block's most: about 0.6 % of a typical value's
// size, halved by averaging over a sum; 2 % of the output's RMS leaves a factor of two.
TEST_P(FastExperts, MeetTheReference) {
  for (const Routed& r :
       {Routed(7, 64, 32, 4, 2), Routed(53, 160, 96, 7, 3), Routed(1, 32, 64, 3, 2)}) {
    const Floats expected = r.reference(), actual = r.fast(GetParam(), 0, r.rows, 2);
    double difference = 0, size = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      difference += std::pow(static_cast<double>(actual[i]) - expected[i], 2);
      size += std::pow(static_cast<double>(expected[i]), 2);
    }
    EXPECT_LE(std::sqrt(difference / size), 0.02) << r.rows << " rows";
    EXPECT_GT(difference, 0) << "nothing was rounded";
  }
}

TEST_P(FastExperts, ARowsBitsDependOnNeitherThreadsNorNeighbours) {
  const Routed r(31, 96, 64, 6, 3);
  const Isa isa = GetParam();
  for (const bool stored : {false, true}) {
    const Floats whole = r.fast(isa, 0, r.rows, 1, stored);
    EXPECT_EQ(r.fast(isa, 0, r.rows, 3, stored), whole);
    for (int64_t t = 0; t < r.rows; ++t)
      EXPECT_EQ(r.fast(isa, t, 1, 1, stored),
                Floats(whole.begin() + t * r.hidden, whole.begin() + (t + 1) * r.hidden));
  }
}

}  // namespace
}  // namespace potluck::cpu
