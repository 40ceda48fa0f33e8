// Operations on rows by themselves: norms, GELU, residual sums, wire forms and embeddings.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/reference/add_norm.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/elementwise.h"
#include "kernels/cpu/reference/gelu.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "tests/contract/backend/backend_bench.h"

namespace potluck {
namespace {

constexpr int kWidth = 67;
constexpr float kEps = 1e-6f;

Floats rows_of(const Floats& values, int first, int count, int64_t n = kWidth) {
  const auto begin = values.begin() + first * n;
  return {begin, begin + count * n};
}

// A row's sum of n squares in any order is off by n · 2⁻²⁴ of itself, its root by half of that, and
// each product after it by 2⁻²⁴.
std::vector<double> norm_tolerance(const BackendKind& kind, const Floats& size) {
  std::vector<double> tolerance;
  if (kind.exact) return tolerance;
  for (float value : size) tolerance.push_back((kWidth + 8) * 0x1p-24 * std::fabs(value));
  return tolerance;
}

Findings norms_rows(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Floats x = random_floats(kRowsMost * kWidth, 1), weight = random_floats(kWidth, 2);
  for (const bool weighted : {true, false})
    for (const bool in_place : {false, true}) {
      Floats expected(x.size());
      for (int t = 0; t < kRowsMost; ++t)
        cpu::rms_norm_row(x.data() + t * kWidth, weighted ? weight.data() : nullptr, kEps, kWidth,
                          expected.data() + t * kWidth);
      const auto run = [&](int first, int count) {
        const Tensor from = bench.put(rows_of(x, first, count));
        const Tensor out = in_place ? from : bench.space(count * kWidth);
        bench->rms_norm(from, weighted ? bench.put(weight) : Tensor{}, kEps, count, kWidth, out);
        return bench.floats(out, count * kWidth);
      };
      check_rows(findings, {"rms_norm", kWidth, run, expected, norm_tolerance(kind, expected)});
    }
  return findings;
}

// A fast GELU is within 2⁻²¹ of |gate · up|, and the products after it within 2⁻²³.
Findings multiplies_by_gelu(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Floats gate = random_floats(kRowsMost * kWidth, 3, 3), up = random_floats(gate.size(), 4);
  std::vector<double> tolerance;
  for (size_t i = 0; i < gate.size() && !kind.exact; ++i)
    tolerance.push_back((0x1p-21 + 0x1p-22) * std::fabs(gate[i] * up[i]) + 1e-30);
  Floats expected(gate.size());
  for (int t = 0; t < kRowsMost; ++t)
    cpu::gelu_mul_row(gate.data() + t * kWidth, up.data() + t * kWidth, kWidth,
                      expected.data() + t * kWidth);
  for (const bool in_place : {false, true}) {
    const auto run = [&](int first, int count) {
      const Tensor from = bench.put(rows_of(gate, first, count));
      const Tensor out = in_place ? from : bench.space(count * kWidth);
      bench->gelu_mul(from, bench.put(rows_of(up, first, count)), count, kWidth, out);
      return bench.floats(out, count * kWidth);
    };
    check_rows(findings, {"gelu_mul", kWidth, run, expected, tolerance});
  }
  return findings;
}

struct Sum {
  bool second = false, norms = false, scale = false;
  DType stream = DType::f32;
};

// The operands of add_norm, for all rows.
struct SumOperands {
  Floats x = random_floats(kRowsMost * kWidth, 5), a = random_floats(kRowsMost * kWidth, 6),
         b = random_floats(kRowsMost * kWidth, 7, 2), weight = random_floats(kWidth, 8),
         a_norm = random_floats(kWidth, 9), b_norm = random_floats(kWidth, 10), scale{0.75f, -1.5f};
};

Floats expected_sum(const SumOperands& o, const Sum& sum) {
  Floats out(o.x.size());
  cpu::ThreadPool pool(1);
  for (const Segment& s : segments_of(0, kRowsMost)) {
    const int64_t first = s.row_begin * kWidth;
    const auto branch = [&](const Floats& h, const Floats& norm) {
      return cpu::Branch{h.data() + first, sum.norms ? norm.data() : nullptr};
    };
    cpu::add_norm({o.x.data() + first, branch(o.a, o.a_norm),
                   sum.second ? branch(o.b, o.b_norm) : cpu::Branch{}, o.weight.data(), kEps,
                   sum.scale ? o.scale[static_cast<size_t>(s.mode)] : 1.0f, sum.stream},
                  s.rows, kWidth, out.data() + first, pool);
  }
  return out;
}

double rms(const std::vector<double>& values) {
  double squares = 0;
  for (double v : values) squares += v * v;
  return std::sqrt(squares / static_cast<double>(values.size()) + kEps);
}

// The branches of row t, normed if they are, summed with their signs and without.
void sum_branches(const SumOperands& o, const Sum& sum, int t, std::vector<double>& h,
                  std::vector<double>& size) {
  const auto add = [&](const Floats& branch, const Floats& norm) {
    Floats row = rows_of(branch, t, 1);
    if (sum.norms) cpu::rms_norm_row(row.data(), norm.data(), kEps, kWidth, row.data());
    for (size_t i = 0; i < row.size(); ++i) {
      h[i] += row[i];
      size[i] += std::fabs(row[i]);
    }
  };
  add(o.a, o.a_norm);
  if (sum.second) add(o.b, o.b_norm);
}

// Each of h's branches is off by ε = (n + 8) · 2⁻²⁴ of itself, so h by ε of their sizes and its RMS
// by as much of the sizes' RMS; the scale is 1.5 at most. bf16 may fall on the next value, 2⁻⁷ away
// at most.
std::vector<double> sum_tolerance(const BackendKind& kind, const SumOperands& o, const Sum& sum,
                                  const Floats& expected) {
  std::vector<double> tolerance;
  for (int t = 0; t < kRowsMost && !kind.exact; ++t) {
    std::vector<double> h(kWidth), size(kWidth);
    sum_branches(o, sum, t, h, size);
    const double r = rms(h), off = rms(size) / r;
    for (size_t i = 0; i < h.size(); ++i) {
      const size_t at = static_cast<size_t>(t) * kWidth + i;
      const double of_h = std::fabs(o.weight[i]) / r * 2 * (size[i] + std::fabs(h[i]) * off);
      tolerance.push_back(1.5 * (kWidth + 8) * 0x1p-24 * (std::fabs(o.x[at]) + of_h) +
                          (sum.stream == DType::f32 ? 0 : 0x1p-7 * std::fabs(expected[at])));
    }
  }
  return tolerance;
}

Findings adds_norms(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const SumOperands o;
  for (const Sum& sum : {Sum{}, Sum{.norms = true}, Sum{.second = true, .stream = DType::bf16},
                         Sum{.second = true, .norms = true, .scale = true}}) {
    const Floats expected = expected_sum(o, sum);
    const auto run = [&](int first, int count) {
      const auto put = [&](const Floats& rows) { return bench.put(rows_of(rows, first, count)); };
      const Tensor out = bench.space(count * kWidth);
      bench->add_norm({.params = bench.put(segments_of(first, count)),
                       .x = put(o.x),
                       .a = {put(o.a), sum.norms ? bench.put(o.a_norm) : Tensor{}},
                       .b = {sum.second ? put(o.b) : Tensor{},
                             sum.second && sum.norms ? bench.put(o.b_norm) : Tensor{}},
                       .weight = bench.put(o.weight),
                       .scale = sum.scale ? bench.put(o.scale) : Tensor{},
                       .eps = kEps,
                       .rows = count,
                       .n = kWidth,
                       .stream = sum.stream,
                       .out = out});
      return bench.floats(out, count * kWidth);
    };
    check_rows(findings,
               {"add_norm", kWidth, run, expected, sum_tolerance(kind, o, sum, expected)});
  }
  return findings;
}

Floats expected_input(const Floats& x, const Floats* s, DType stream) {
  Floats out = x;
  for (const Segment& segment : segments_of(0, kRowsMost))
    for (int t = 0; t < segment.rows; ++t) {
      float* row = out.data() + (segment.row_begin + t) * kWidth;
      if (segment.mode == Mode::denoise) {
        if (s) cpu::add_row(row, s->data() + (segment.row_begin + t) * kWidth, kWidth, row);
        cpu::rms_norm_row(row, nullptr, kEps, kWidth, row);
      }
      cpu::round_to(stream, row, kWidth);
    }
  return out;
}

Findings makes_the_canvas_input(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Floats x = random_floats(kRowsMost * kWidth, 11), s = random_floats(kRowsMost * kWidth, 12);
  for (const DType stream : {DType::f32, DType::bf16})
    for (const bool conditioned : {false, true}) {
      const Floats expected = expected_input(x, conditioned ? &s : nullptr, stream);
      const auto run = [&](int first, int count) {
        const Tensor out = bench.space(count * kWidth);
        bench->canvas_input({.params = bench.put(segments_of(first, count)),
                             .x = bench.put(rows_of(x, first, count)),
                             .s = conditioned ? bench.put(rows_of(s, first, count)) : Tensor{},
                             .eps = kEps,
                             .rows = count,
                             .n = kWidth,
                             .stream = stream,
                             .out = out});
        return bench.floats(out, count * kWidth);
      };
      std::vector<double> tolerance = norm_tolerance(kind, expected);
      for (size_t i = 0; i < tolerance.size(); ++i)
        if (stream == DType::bf16) tolerance[i] += 0x1p-7 * std::fabs(expected[i]);
      check_rows(findings, {"canvas_input", kWidth, run, expected, tolerance});
    }
  return findings;
}

// Rows of 64, which every type has blocks for. Rounding to f16, bf16 or blocks is the same on every
// backend, for the other end of a hop may be of another kind.
Findings packs_and_unpacks(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  constexpr int kN = 64;
  const Floats x = random_floats(kRowsMost * kN, 13);
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::q8_0}) {
    const StoredWeights stored(type, 1, kRowsMost, kN, x);
    const auto row = static_cast<int64_t>(row_bytes(type, kN));
    const auto run = [&](int first, int count) {
      std::vector<std::byte> wire(static_cast<size_t>(count * row), std::byte{0xEE});
      bench->pack(bench.put(rows_of(x, first, count, kN)), type, count, kN, wire.data());
      bench->wait();
      expect(findings, std::equal(wire.begin(), wire.end(), stored.blocks.get() + first * row),
             std::string("pack gives other bytes of ") + dtype_name(type));
      const Tensor on_device = bench->allocate(wire.size()), again = bench.space(count * kN);
      bench->pack(bench.put(rows_of(x, first, count, kN)), type, count, kN, on_device);
      bench->unpack(on_device, type, count, kN, again);
      expect(findings, bench.read<std::byte>(on_device, static_cast<int64_t>(wire.size())) == wire,
             std::string("pack gives other bytes on the device of ") + dtype_name(type));
      const Tensor back = bench.space(count * kN);
      bench->unpack(wire.data(), type, count, kN, back);
      expect(findings, bench.floats(again, count * kN) == bench.floats(back, count * kN),
             std::string("unpack gives other values from the device of ") + dtype_name(type));
      return bench.floats(back, count * kN);
    };
    check_rows(findings,
               {std::string("unpack of ") + dtype_name(type), kN, run, stored.values, {}});
  }
  return findings;
}

Findings embeds_ids(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  constexpr int kN = 64, kIds = 300;
  constexpr float kScale = 7.9375f;
  for (const DType type : {DType::q8_0, DType::bf16, DType::f32}) {
    const StoredWeights table(type, 1, kIds, kN, random_floats(kIds * kN, 14));
    const Matrix e = bench.put(table, Care::raw);
    std::vector<int32_t> ids;
    Floats expected;
    for (int t = 0; t < kRowsMost; ++t) {
      ids.push_back((t * 37 + 299) % kIds);
      for (float value : table.row(ids.back())) expected.push_back(value * kScale);
    }
    const auto run = [&](int first, int count) {
      const Tensor out = bench.space(count * kN);
      bench->embed(bench.put(std::span<const int32_t>(ids).subspan(static_cast<size_t>(first),
                                                                   static_cast<size_t>(count))),
                   e, kScale, count, out);
      return bench.floats(out, count * kN);
    };
    check_rows(findings, {"embed", kN, run, expected, {}});
  }
  return findings;
}

}  // namespace

std::vector<BackendCheck> row_checks() {
  return {{"NormsRows", norms_rows},
          {"MultipliesByGelu", multiplies_by_gelu},
          {"AddsNorms", adds_norms},
          {"MakesTheCanvasInput", makes_the_canvas_input},
          {"PacksAndUnpacks", packs_and_unpacks},
          {"EmbedsIds", embeds_ids}};
}

}  // namespace potluck
