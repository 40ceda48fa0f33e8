// Products with stored weights: matmul of each care, the router and the experts.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/experts.h"
#include "kernels/cpu/reference/matmul.h"
#include "tests/contract/backend/backend_bench.h"

namespace potluck {
namespace {

Floats rows_of(const Floats& values, int first, int count, int64_t n) {
  const auto begin = values.begin() + first * n;
  return {begin, begin + count * n};
}

// An expected product in the reference's order of sums.
Floats product(const Floats& x, const StoredWeights& w) {
  const auto rows = static_cast<int64_t>(x.size()) / w.columns;
  cpu::ThreadPool pool(2);
  Floats out(static_cast<size_t>(rows * w.rows));
  Floats scratch(cpu::matmul_scratch(w.columns) * 2);
  cpu::matmul({x.data(), w.columns}, rows, {w.type, w.blocks.get(), w.rows, w.columns},
              {out.data(), w.rows}, scratch.data(), pool);
  return out;
}

RowOperation matmul_of(BackendBench& bench, const Floats& x, const StoredWeights& w, Care care) {
  const Matrix matrix = bench.put(w, care);
  const auto spec = std::make_shared<ModelSpec>(small_spec(static_cast<int>(w.columns)));
  bench->reserve({.spec = spec.get(), .rows = kRowsMost, .keys = kRowsMost});
  const auto run = [&bench, &x, &w, matrix, spec](int first, int count) {
    const Tensor out = bench.space(count * w.rows);
    bench->matmul(bench.put(rows_of(x, first, count, w.columns)), matrix, count, out);
    return bench.floats(out, count * w.rows);
  };
  return {std::string("matmul with ") + dtype_name(w.type), w.rows, run, product(x, w), {}};
}

std::vector<double> tolerances(Care care, const Floats& x, const StoredWeights& w) {
  std::vector<double> tolerances;
  const auto columns = static_cast<size_t>(w.columns);
  for (size_t first = 0; first < x.size(); first += columns)
    for (int64_t o = 0; o < w.rows; ++o)
      tolerances.push_back(product_tolerance(care, std::span(x).subspan(first, columns), w.row(o)));
  return tolerances;
}

constexpr Care kCares[] = {Care::usual, Care::fine, Care::finest};

// Whole numbers on a grid lose nothing by rounding to 8 bits in blocks or to bf16, and hardly
// anything by rounding to 16 bits in steps of their own.
Findings multiplies_whole_numbers(const BackendKind& kind) {
  Findings findings;
  const int64_t columns = 256, outputs = 70;
  const Floats x = grid_floats(kRowsMost * columns, 21);
  for (const DType type : {DType::q8_0, DType::bf16})
    for (const Care care : kCares) {
      const StoredWeights w(type, 1, outputs, columns, grid_floats(outputs * columns, 22));
      BackendBench bench(kind);
      RowOperation operation = matmul_of(bench, x, w, care);
      if (!kind.exact) operation.tolerance = tolerances(Care::finest, x, w);
      check_rows(findings, operation);
    }
  return findings;
}

Findings multiplies_within_its_care(const BackendKind& kind) {
  Findings findings;
  struct Shape {
    DType type;
    int64_t outputs, columns;
  };
  for (const auto [type, outputs, columns] :
       {Shape{DType::q8_0, 33, 288}, Shape{DType::bf16, 71, 67}, Shape{DType::f32, 1, 301}})
    for (const Care care : kCares) {
      const Floats x = random_floats(kRowsMost * columns, 23);
      const StoredWeights w(type, 1, outputs, columns, random_floats(outputs * columns, 24, 0.3f));
      BackendBench bench(kind);
      RowOperation operation = matmul_of(bench, x, w, care);
      if (!kind.exact) operation.tolerance = tolerances(care, x, w);
      check_rows(findings, operation);
    }
  return findings;
}

// From stored bits, whose values are known to the bit: an exact product is the reference's.
Findings multiplies_low_bit_blocks(const BackendKind& kind) {
  Findings findings;
  const int64_t columns = 256, outputs = 35;
  const Floats x = random_floats(kRowsMost * columns, 25);
  for (const DType type : {DType::iq2_xxs, DType::iq2_xs, DType::iq2_s, DType::iq3_xxs,
                           DType::iq3_s, DType::iq1_s, DType::iq1_m, DType::mxfp4}) {
    const StoredWeights w(type, 1, outputs, columns, 26);
    BackendBench bench(kind);
    RowOperation operation = matmul_of(bench, x, w, Care::usual);
    if (!kind.exact) operation.tolerance = tolerances(Care::usual, x, w);
    check_rows(findings, operation);
  }
  return findings;
}

struct Routing {
  static constexpr int kHidden = 67, kExperts = 21, kUsed = 4;
  Floats x = random_floats(kRowsMost * kHidden, 31), scale = random_floats(kHidden, 32),
         each = random_floats(kExperts, 33);
  StoredWeights w{DType::f32, 1, kExperts, kHidden, random_floats(kExperts* kHidden, 34)};

  // The probabilities of row t, and Σ |terms| of its largest logit, by which its rounding goes.
  std::vector<double> probabilities(int t, double& magnitude) const {
    double squares = 0, sum = 0;
    const float* row = x.data() + t * kHidden;
    for (int i = 0; i < kHidden; ++i) squares += static_cast<double>(row[i]) * row[i];
    const double rms = std::sqrt(squares / kHidden + 1e-6);
    std::vector<double> p;
    for (int e = 0; e < kExperts; ++e) {
      double logit = 0, size = 0;
      for (size_t i = 0; i < kHidden; ++i) {
        const double term = row[i] / rms * scale[i] / std::sqrt(kHidden) * w.row(e)[i];
        logit += term;
        size += std::fabs(term);
      }
      magnitude = std::max(magnitude, size);
      p.push_back(std::exp(logit));
      sum += p.back();
    }
    for (double& value : p) value /= sum;
    return p;
  }
};

struct Chosen {
  std::vector<int32_t> expert;
  Floats weight;
};

// A logit is off by (H + 8) · 2⁻²⁴ of Σ |its terms|, a probability by as much of itself for its own
// and for the sum's, and a weight by those of all that were chosen.
void check_choice(Findings& findings, const Routing& r, const Chosen& chosen, int t) {
  double magnitude = 0, sum = 0;
  std::vector<double> p = r.probabilities(t, magnitude);
  const double relative = 4 * (Routing::kHidden + 8) * 0x1p-24 * magnitude + 1e-6;
  const std::string where = "route, row " + std::to_string(t);
  const size_t first = static_cast<size_t>(t) * Routing::kUsed;
  for (size_t k = 0; k < Routing::kUsed; ++k) {
    const int32_t e = chosen.expert[first + k];
    if (e < 0 || e >= Routing::kExperts) return findings.push_back(where + ": no such expert");
    sum += p[static_cast<size_t>(e)];
  }
  for (size_t k = 0; k < Routing::kUsed; ++k) {
    const auto e = static_cast<size_t>(chosen.expert[first + k]);
    const double most = *std::max_element(p.begin(), p.end());
    expect(findings, p[e] >= most * (1 - relative),
           where + ": choice " + std::to_string(k) + " is not the likeliest that is left");
    const double weight = p[e] / sum * r.each[e];
    expect(findings, std::fabs(chosen.weight[first + k] - weight) <= std::fabs(weight) * relative,
           where + ": weight " + std::to_string(chosen.weight[first + k]) + " instead of " +
               std::to_string(weight));
    p[e] = -1;  // it was chosen
  }
}

Findings routes_to_the_likeliest(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Routing r;
  const RouterWeights router{bench.put(r.scale), bench.put(r.w, Care::raw), bench.put(r.each)};
  ModelSpec spec = small_spec(Routing::kHidden);
  spec.experts = Routing::kExperts;
  bench->reserve({.spec = &spec, .rows = kRowsMost, .keys = kRowsMost});
  const auto choose = [&](int first, int count) {
    const int64_t slots = count * Routing::kUsed;
    const Tensor expert = bench.space(slots), weight = bench.space(slots);
    bench->route({.x = bench.put(rows_of(r.x, first, count, Routing::kHidden)),
                  .router = router,
                  .used = Routing::kUsed,
                  .rows = count,
                  .expert = expert,
                  .weight = weight});
    return Chosen{bench.read<int32_t>(expert, slots), bench.floats(weight, slots)};
  };
  const Chosen all = choose(0, kRowsMost);
  for (int t = 0; t < kRowsMost; ++t) check_choice(findings, r, all, t);
  for (const int count : {1, 7, 33}) {
    const Chosen some = choose(kRowsMost - count, count);
    const auto slots = static_cast<size_t>(count * Routing::kUsed);
    expect(findings,
           std::equal(some.expert.begin(), some.expert.end(),
                      all.expert.end() - count * Routing::kUsed),
           "route of " + std::to_string(count) + " rows chooses other experts");
    compare(findings, "route of " + std::to_string(count) + " rows: weights",
            std::span(all.weight).last(slots), some.weight);
  }
  return findings;
}

// Random values in a type that can be quantized, random bits in another.
StoredWeights random_weights(DType type, int64_t count, int64_t rows, int64_t columns,
                             uint32_t seed, float size) {
  if (!cpu::can_quantize(type)) return {type, count, rows, columns, seed};
  return {type, count, rows, columns, random_floats(count * rows * columns, seed, size)};
}

struct ExpertTypes {
  DType gate_up, down;
};

struct Mixture {
  static constexpr int kHidden = 256, kInner = 64, kCount = 7, kUsed = 3;
  Floats x = random_floats(kRowsMost * kHidden, 41), weight = random_floats(kRowsMost * kUsed, 42);
  std::vector<int32_t> expert;
  StoredWeights gate_up, down;

  // Expert 0 serves every row, the last none.
  explicit Mixture(ExpertTypes types)
      : gate_up(random_weights(types.gate_up, kCount, 2 * kInner, kHidden, 43, 0.06f)),
        down(random_weights(types.down, kCount, kHidden, kInner, 44, 0.12f)) {
    for (int t = 0; t < kRowsMost; ++t)
      for (int k = 0; k < kUsed; ++k) expert.push_back(k == 0 ? 0 : 1 + (t + k) % (kCount - 2));
  }

  Floats expected() const {
    cpu::ThreadPool pool(2);
    const cpu::ExpertsView view{{gate_up.type, gate_up.blocks.get(), kCount * 2 * kInner, kHidden},
                                {down.type, down.blocks.get(), kCount * kHidden, kInner},
                                kCount,
                                kUsed,
                                kInner,
                                kHidden};
    Floats out(x.size());
    std::vector<std::byte> scratch(cpu::experts_scratch(view, kRowsMost, 2));
    cpu::experts({x.data(), kRowsMost, expert.data(), weight.data()}, view, out.data(),
                 scratch.data(), pool);
    return out;
  }
};

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

// How far one expert's answer to row t may be off, [kHidden]: gate and up by what a usual product
// may be; h = gelu(gate) · up by 1.13 of gate's (the steepest slope of GELU) times up, gelu times
// up's and both; down's by what h's errors weigh, and by what a usual product of h may be.
void add_expert_tolerance(const Mixture& m, int t, int k, std::span<double> tolerance) {
  const size_t slot = static_cast<size_t>(t * Mixture::kUsed + k);
  const int e = m.expert[slot];
  const auto x =
      std::span(m.x).subspan(static_cast<size_t>(t) * Mixture::kHidden, Mixture::kHidden);
  Floats h(Mixture::kInner), off(Mixture::kInner);
  for (int i = 0; i < Mixture::kInner; ++i) {
    const auto gate = m.gate_up.row(e * 2 * Mixture::kInner + i);
    const auto up = m.gate_up.row(e * 2 * Mixture::kInner + Mixture::kInner + i);
    const double g = dot(x, gate), u = dot(x, up);
    const double of_g = product_tolerance(Care::usual, x, gate);
    const double of_u = product_tolerance(Care::usual, x, up);
    const auto at = static_cast<size_t>(i);
    off[at] = static_cast<float>(1.13 * of_g * (std::fabs(u) + of_u) + std::fabs(gelu(g)) * of_u);
    h[at] = static_cast<float>(std::fabs(gelu(g) * u)) + off[at];
  }
  for (int o = 0; o < Mixture::kHidden; ++o) {
    const auto w = m.down.row(e * Mixture::kHidden + o);
    double sum = product_tolerance(Care::usual, h, w);
    for (size_t i = 0; i < h.size(); ++i) sum += std::fabs(static_cast<double>(w[i])) * off[i];
    tolerance[static_cast<size_t>(o)] += std::fabs(static_cast<double>(m.weight[slot])) * sum;
  }
}

std::vector<double> mixture_tolerance(const Mixture& m) {
  std::vector<double> tolerance(m.x.size(), 0);
  for (int t = 0; t < kRowsMost; ++t)
    for (int k = 0; k < Mixture::kUsed; ++k)
      add_expert_tolerance(m, t, k,
                           std::span(tolerance).subspan(static_cast<size_t>(t) * Mixture::kHidden,
                                                        Mixture::kHidden));
  return tolerance;
}

Findings mixes_experts(const BackendKind& kind) {
  Findings findings;
  for (const ExpertTypes& types :
       {ExpertTypes{DType::q8_0, DType::q8_0}, ExpertTypes{DType::bf16, DType::bf16},
        ExpertTypes{DType::iq2_s, DType::iq4_nl}, ExpertTypes{DType::iq3_s, DType::mxfp4}}) {
    const Mixture m(types);
    BackendBench bench(kind);
    const Matrix gate_up = bench.put(m.gate_up), down = bench.put(m.down);
    ModelSpec spec = small_spec(Mixture::kHidden);
    spec.experts = Mixture::kCount;
    spec.experts_used = Mixture::kUsed;
    spec.expert_intermediate = Mixture::kInner;
    bench->reserve({.spec = &spec, .rows = kRowsMost, .keys = kRowsMost});
    const auto run = [&](int first, int count) {
      const auto slots = std::span<const int32_t>(m.expert).subspan(
          static_cast<size_t>(first) * Mixture::kUsed, static_cast<size_t>(count) * Mixture::kUsed);
      const Tensor out = bench.space(count * Mixture::kHidden);
      bench->experts({.x = bench.put(rows_of(m.x, first, count, Mixture::kHidden)),
                      .gate_up = gate_up,
                      .down = down,
                      .used = Mixture::kUsed,
                      .expert = bench.put(slots),
                      .weight = bench.put(rows_of(m.weight, first, count, Mixture::kUsed)),
                      .rows = count,
                      .out = out});
      return bench.floats(out, count * Mixture::kHidden);
    };
    check_rows(findings,
               {std::string("experts of ") + dtype_name(types.gate_up), Mixture::kHidden, run,
                m.expected(), kind.exact ? std::vector<double>{} : mixture_tolerance(m)});
  }
  return findings;
}

}  // namespace

std::vector<BackendCheck> product_checks() {
  return {{"MultipliesWholeNumbers", multiplies_whole_numbers},
          {"MultipliesWithinItsCare", multiplies_within_its_care},
          {"MultipliesLowBitBlocks", multiplies_low_bit_blocks},
          {"RoutesToTheLikeliest", routes_to_the_likeliest},
          {"MixesExperts", mixes_experts}};
}

}  // namespace potluck
