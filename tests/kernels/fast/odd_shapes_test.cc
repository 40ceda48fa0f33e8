// The fast products and experts run on shapes drawn from fixed seeds, which nobody thought of. A
// draw that fails prints itself; the bounds are those of the hand-picked shapes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cpu/fast/experts.h"
#include "kernels/cpu/fast/gelu.h"
#include "kernels/cpu/reference/weight_view.h"
#include "tests/kernels/isa_test.h"
#include "tests/kernels/stored_weights.h"

namespace potluck::cpu {
namespace {

constexpr int kProducts = 250, kStored = 80, kRouted = 80;  // draws: some 2 s of a core in all
constexpr int64_t kTermsMax = 2 << 20;                      // multiplications of a draw
constexpr int64_t kRowsMax = 300, kOutputsMax = 200, kColumnsMax = 2100;

constexpr const char* kUseNames[] = {"many", "few", "fine", "finest"};  // by Use

class OddShapes : public IsaTest {};
POTLUCK_FOR_EACH_ISA(OddShapes);

class Draw {
 public:
  explicit Draw(uint32_t seed) : random_(seed) {}

  int64_t below(int64_t end) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(end));
  }
  // 1 to `most`: evenly, or each power of two as often as the next.
  int64_t size(int64_t most) {
    if (below(2)) return 1 + below(most);
    const double part = static_cast<double>(random_()) * 0x1p-32;
    const double value = std::exp(part * std::log(static_cast<double>(most + 1)));
    return std::clamp<int64_t>(static_cast<int64_t>(value), 1, most);
  }
  DType type() { return kTypes[below(std::size(kTypes))]; }
  Use use() { return static_cast<Use>(below(std::size(kUseNames))); }
  int64_t columns(DType type) {
    const int64_t block = block_shape(type).values;
    return block * size(kColumnsMax / block);
  }
  template <typename Value>
  void shuffle(std::vector<Value>& values) {
    for (size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[static_cast<size_t>(below(static_cast<int64_t>(i)))]);
  }

 private:
  std::mt19937 random_;
};

struct Product {
  uint32_t seed;
  DType type;
  Use use;
  int threads;
  int64_t rows, outputs, columns;

  explicit Product(uint32_t seed_) : seed(seed_) {
    Draw draw(seed);
    type = draw.type();
    use = draw.use();
    threads = static_cast<int>(draw.size(4));
    do {
      rows = draw.size(kRowsMax);
      outputs = draw.size(kOutputsMax);
      columns = draw.columns(type);
    } while (rows * outputs * columns > kTermsMax);
  }

  std::string text(Isa isa) const {
    std::ostringstream out;
    out << "seed " << seed << ": " << dtype_name(type) << " " << rows << " × " << outputs << " × "
        << columns << " on " << threads << " threads by " << packed_product(isa, type, use).name
        << " ("
        << (use == Use::many  ? "many"
            : use == Use::few ? "few"
                              : "fine")
        << ")";
    return out.str();
  }
};

TEST_P(OddShapes, ProductsMeetTheReference) {
  const Isa isa = GetParam();
  for (uint32_t seed = 1; seed <= kProducts; ++seed) {
    const Product p(seed);
    SCOPED_TRACE(p.text(isa));
    const Weights w(p.type, p.outputs, p.columns, seed);
    const Floats x = random_floats(p.rows * p.columns, seed);
    const Floats out = multiply(isa, x, p.rows, w.view(), p.threads, p.use);
    expect_near_exact(isa, w, x, p.rows, out.data(), p.use);
    if (HasFatalFailure()) return;
  }
}

// x times each of `count` matrices [outputs, columns], by stored panels.
Floats multiply_stored(const PackedProduct& product, const Floats& x, const Product& p,
                       const WeightView& w, int64_t count) {
  ThreadPool pool(p.threads);
  const Block stored(store_bytes(product, w, count));
  store_panels(product, w, count, stored.bytes, pool);
  const Block packed(product.row_bytes(p.columns) * static_cast<size_t>(p.rows));
  const PackedRows rows{packed.bytes, product.row_bytes(p.columns)};
  for (int64_t t = 0; t < p.rows; ++t)
    product.pack_row(x.data() + t * p.columns, p.columns, rows[t]);
  Floats out(static_cast<size_t>(count * p.rows * p.outputs), NAN);
  const Block work(product.panel_bytes(p.columns));
  const std::byte* panel = stored.bytes;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t first = 0; first < p.outputs; first += kPanelRows) {
      PanelProduct one{rows,
                       p.rows,
                       panel,
                       p.columns,
                       out.data() + i * p.rows * p.outputs + first,
                       p.outputs,
                       std::min(kPanelRows, p.outputs - first)};
      one.work = work.bytes;
      product.multiply_stored(one);
      panel += product.stored_bytes(p.columns);
    }
  return out;
}

TEST_P(OddShapes, StoredPanelsGiveTheProducts) {
  const Isa isa = GetParam();
  int stored = 0;
  for (uint32_t seed = 1; seed <= kStored; ++seed) {
    Product p(seed + 1000);
    p.use = Use::few;
    const PackedProduct& product = packed_product(isa, p.type, p.use);
    if (!product.store_panel) continue;
    ++stored;
    SCOPED_TRACE(p.text(isa));
    const int64_t count = Draw(seed).size(4);
    const Weights w(p.type, count * p.outputs, p.columns, seed);
    const Floats x = random_floats(p.rows * p.columns, seed);
    const Floats out = multiply_stored(product, x, p, w.view(), count);
    for (int64_t i = 0; i < count; ++i) {
      SCOPED_TRACE("matrix " + std::to_string(i) + " of " + std::to_string(count));
      const Weights one = w.part(i * p.outputs, p.outputs);
      const float* of_one = out.data() + i * p.rows * p.outputs;
      if (product.numbers == Numbers::integers) {
        const Floats expected = multiply(isa, x, p.rows, one.view(), p.threads, p.use);
        ASSERT_TRUE(std::equal(expected.begin(), expected.end(), of_one));
      } else {
        expect_near_exact(isa, one, x, p.rows, of_one, p.use);
        if (HasFatalFailure()) return;
      }
    }
  }
  EXPECT_GT(stored, 0);
}

// A routed pass of any two types. Some experts serve nobody; every other time one serves all.
struct Routed {
  uint32_t seed;
  DType gate_up_type, down_type;
  int threads;
  int64_t rows, hidden, inner;
  int count, used;
  std::vector<int32_t> expert;  // [rows, used]

  explicit Routed(uint32_t seed_) : seed(seed_) {
    Draw draw(seed);
    gate_up_type = draw.type();
    down_type = draw.type();
    threads = static_cast<int>(draw.size(4));
    do {
      rows = draw.size(kRowsMax);
      hidden = draw.columns(gate_up_type);
      inner = draw.columns(down_type);
      count = static_cast<int>(draw.size(12));
      used = static_cast<int>(draw.size(std::min(4, count)));
    } while (std::max<int64_t>(rows * used, count) * 3 * hidden * inner > kTermsMax);
    route(draw);
  }

  void route(Draw& draw) {
    std::vector<int32_t> experts(static_cast<size_t>(count));
    std::iota(experts.begin(), experts.end(), 0);
    draw.shuffle(experts);
    experts.resize(static_cast<size_t>(used + draw.below(count - used + 1)));  // who serves at all
    const bool shared = draw.below(2);
    const int32_t first = experts[0];
    for (int64_t t = 0; t < rows; ++t) {
      draw.shuffle(experts);
      if (shared) std::iter_swap(experts.begin(), std::find(experts.begin(), experts.end(), first));
      expert.insert(expert.end(), experts.begin(), experts.begin() + used);
    }
  }

  std::string text() const {
    std::ostringstream out;
    out << "seed " << seed << ": " << dtype_name(gate_up_type) << " and " << dtype_name(down_type)
        << ", " << rows << " rows, hidden " << hidden << ", inner " << inner << ", " << used
        << " of " << count << " experts, " << threads << " threads";
    return out.str();
  }
};

// The operands of a Routed: gate_up [count · 2 inner, hidden], down [count · hidden, inner].
struct Operands {
  Weights gate_up, down;
  Floats x, weight;

  explicit Operands(const Routed& r)
      : gate_up(r.gate_up_type, r.count * 2 * r.inner, r.hidden, r.seed),
        down(r.down_type, r.count * r.hidden, r.inner, r.seed + 1),
        x(random_floats(r.rows * r.hidden, r.seed)),
        weight(random_floats(r.rows * r.used, r.seed + 1)) {}
};

Floats fast(Isa isa, const Routed& r, const Operands& o, bool stored) {
  ThreadPool pool(r.threads);
  ExpertsView view{o.gate_up.view(), o.down.view(), r.count, r.used, r.inner, r.hidden};
  StoredPanels panels;
  const auto store = [&](WeightView& w, bool& is_stored) {
    const PackedProduct& product = packed_product(isa, w.type, Use::few);
    is_stored = stored && product.store_panel;
    auto block = std::make_unique<Block>(is_stored ? store_bytes(product, w, r.count) : 0);
    if (is_stored) {
      store_panels(product, w, r.count, block->bytes, pool);
      w.blocks = block->bytes;
    }
    return block;
  };
  const auto gate_up = store(view.gate_up, panels.gate_up), down = store(view.down, panels.down);
  Floats out(o.x.size(), NAN);
  const Block scratch(fast_experts_scratch(isa, view, r.rows, r.threads));
  fast_experts({isa, view, panels}, {o.x.data(), r.rows, r.expert.data(), o.weight.data()},
               out.data(), scratch.bytes, pool);
  return out;
}

// out[t] = Σ_k weight[t, k] · down(gelu(gate) ⊙ up), an expert's rows at a time by fast_matmul;
// `bound` is how much the order of a row's sum may change, used · 2⁻²³ of Σ |its terms|.
struct Composed {
  std::vector<double> out, bound;

  Composed(Isa isa, const Routed& r, const Operands& o) : out(o.x.size()), bound(o.x.size()) {
    for (int e = 0; e < r.count; ++e) {
      std::vector<size_t> slots;
      for (size_t i = 0; i < r.expert.size(); ++i)
        if (r.expert[i] == e) slots.push_back(i);
      if (!slots.empty()) add(isa, r, o, e, slots);
    }
  }

  void add(Isa isa, const Routed& r, const Operands& o, int e, const std::vector<size_t>& slots) {
    const auto n = static_cast<int64_t>(slots.size());
    const auto row_of = [&](size_t slot) { return static_cast<int64_t>(slot) / r.used * r.hidden; };
    Floats x, inner(static_cast<size_t>(n * r.inner));
    for (size_t slot : slots)
      x.insert(x.end(), o.x.begin() + row_of(slot), o.x.begin() + row_of(slot) + r.hidden);
    const Floats gate_up =
        multiply(isa, x, n, o.gate_up.view().slice(e * 2 * r.inner, 2 * r.inner), 1, Use::few);
    for (int64_t i = 0; i < n; ++i) {
      const float* gate = gate_up.data() + i * 2 * r.inner;
      fast_gelu_mul_row(gate, gate + r.inner, r.inner, inner.data() + i * r.inner);
    }
    const Floats y =
        multiply(isa, inner, n, o.down.view().slice(e * r.hidden, r.hidden), 1, Use::few);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t c = 0; c < r.hidden; ++c) {
        const size_t slot = slots[static_cast<size_t>(i)];
        const auto at = static_cast<size_t>(row_of(slot) + c);
        const double term =
            static_cast<double>(o.weight[slot]) * y[static_cast<size_t>(i * r.hidden + c)];
        out[at] += term;
        bound[at] += std::fabs(term) * r.used * 0x1p-23;
      }
  }
};

// Where weights become bf16 by two ways, they differ by an ulp here and there.
void expect_alike(const Floats& a, const Floats& b) {
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(a[i] - b[i], 2);
    magnitude += std::pow(b[i], 2);
  }
  EXPECT_LE(std::sqrt(difference), 0x1p-6 * std::sqrt(magnitude));
}

TEST_P(OddShapes, ExpertsAreTheirProductsInARow) {
  const Isa isa = GetParam();
  for (uint32_t seed = 1; seed <= kRouted; ++seed) {
    const Routed r(seed);
    SCOPED_TRACE(r.text());
    const Operands o(r);
    const Floats actual = fast(isa, r, o, false);
    const Composed expected(isa, r, o);
    for (size_t i = 0; i < actual.size(); ++i)
      ASSERT_NEAR(actual[i], expected.out[i], expected.bound[i] + 1e-30) << "at " << i;
    if (packed_product(isa, r.gate_up_type, Use::few).numbers == Numbers::integers &&
        packed_product(isa, r.down_type, Use::few).numbers == Numbers::integers)
      EXPECT_EQ(fast(isa, r, o, true), actual) << "stored panels gave other bits";
    else
      expect_alike(fast(isa, r, o, true), actual);
  }
}

}  // namespace
}  // namespace potluck::cpu
