// Values, comparisons and tolerances of the contract suite.
#include "tests/contract/backend/backend_bench.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "kernels/cpu/reference/dequantize.h"

namespace potluck {
namespace {

constexpr float kNoResult = -12345.5f;
// The table of segments: rows of a session each, encoded and denoised in turns.
constexpr int kSegmentRows[] = {3, 30, 1, 100, 122};

double most_of(std::span<const float> values) {
  double most = 0;
  for (float v : values) most = std::max(most, std::fabs(static_cast<double>(v)));
  return most;
}

double sum_of(std::span<const float> values) {
  double sum = 0;
  for (float v : values) sum += std::fabs(static_cast<double>(v));
  return sum;
}

double usual_tolerance(std::span<const float> x, std::span<const float> w) {
  double blocks = 0, magnitude = 0;
  for (size_t i = 0; i < x.size(); i += 32) {
    const size_t count = std::min<size_t>(32, x.size() - i);
    blocks += most_of(x.subspan(i, count)) / 254 * sum_of(w.subspan(i, count));
  }
  for (size_t i = 0; i < x.size(); ++i) magnitude += std::fabs(static_cast<double>(x[i]) * w[i]);
  return std::max(blocks, 2 * 0x1p-8 * magnitude);
}

double finest_tolerance(std::span<const float> x, std::span<const float> w) {
  double bound = 0;
  for (size_t i = 0; i < x.size(); i += 256) {
    const size_t count = std::min<size_t>(256, x.size() - i);
    const auto own_x = x.subspan(i, count), own_w = w.subspan(i, count);
    const double most_x = most_of(own_x), most_w = most_of(own_w);
    bound += 0x1p-14 * (most_x * sum_of(own_w) + most_w * sum_of(own_x)) +
             static_cast<double>(count) * 0x1p-16 * most_x * most_w;
  }
  return bound;
}

}  // namespace

Floats random_floats(int64_t n, uint32_t seed, float scale) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  Floats values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

Floats grid_floats(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  Floats values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) {
    const int whole = i % 32 == 5 ? 127 : static_cast<int>(random() % 255) - 127;
    values[i] = static_cast<float>(whole) / 64;
  }
  return values;
}

namespace {

std::shared_ptr<std::byte> aligned_bytes(size_t bytes) {
  return {static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)), std::free};
}

// A scale of 2⁻¹⁰ or a little more. That of iq1_m is the upper halves of four bytes, and that of
// mxfp4 an exponent.
void put_low_bit_scale(DType type, uint8_t bits, std::byte* block) {
  constexpr uint8_t kHigh = 0x14;
  if (type == DType::iq1_m) {
    const uint8_t quarters[] = {bits, static_cast<uint8_t>(bits >> 4), kHigh & 15, kHigh >> 4};
    for (size_t i = 0; i < 4; ++i)
      block[49 + 2 * i] = (block[49 + 2 * i] & std::byte{15}) | std::byte{quarters[i]} << 4;
  } else if (type == DType::mxfp4) {
    block[0] = std::byte(118 + bits % 4);
  } else {
    block[0] = std::byte{bits};
    block[1] = std::byte{kHigh};
  }
}

}  // namespace

StoredWeights::StoredWeights(DType type_, int64_t count_, int64_t rows_, int64_t columns_,
                             uint32_t seed)
    : type(type_),
      count(count_),
      rows(rows_),
      columns(columns_),
      values(static_cast<size_t>(count * rows * columns)) {
  const size_t bytes = row_bytes(type, columns) * static_cast<size_t>(count * rows);
  const std::shared_ptr<std::byte> own = aligned_bytes(bytes);
  std::mt19937 random(seed);
  for (size_t i = 0; i < bytes; ++i) own.get()[i] = static_cast<std::byte>(random());
  for (size_t at = 0; at < bytes; at += static_cast<size_t>(block_shape(type).bytes))
    put_low_bit_scale(type, static_cast<uint8_t>(random()), own.get() + at);
  cpu::dequantize_row(type, own.get(), values.data(), static_cast<int64_t>(values.size()));
  blocks = own;
}

StoredWeights::StoredWeights(DType type_, int64_t count_, int64_t rows_, int64_t columns_,
                             const Floats& from)
    : type(type_), count(count_), rows(rows_), columns(columns_), values(from.size()) {
  const size_t bytes = row_bytes(type, columns) * static_cast<size_t>(count * rows);
  const std::shared_ptr<std::byte> own = aligned_bytes(bytes);
  cpu::quantize_row(type, from.data(), own.get(), static_cast<int64_t>(from.size()));
  cpu::dequantize_row(type, own.get(), values.data(), static_cast<int64_t>(values.size()));
  blocks = own;
}

Tensor BackendBench::put(std::span<const int32_t> values) {
  const Tensor tensor = backend_->allocate(values.size_bytes());
  backend_->upload(values.data(), values.size_bytes(), tensor);
  return tensor;
}

Tensor BackendBench::put(std::span<const Segment> segments) {
  StepParams params;
  for (const Segment& s : segments) {
    params.segments[params.segment_count++] = s;
    params.rows += s.rows;
  }
  const Tensor tensor = backend_->allocate(sizeof(params));
  backend_->upload(&params, sizeof(params), tensor);
  return tensor;
}

Tensor BackendBench::space(int64_t floats) {
  return put(Floats(static_cast<size_t>(floats), kNoResult));
}

Matrix BackendBench::put(const StoredWeights& w, Care care) {
  return backend_->load_matrix(w.blocks, w.type, w.count, w.rows, w.columns, care);
}

ModelSpec small_spec(int hidden) {
  ModelSpec spec;
  spec.hidden = hidden;
  spec.intermediate = hidden;
  spec.expert_intermediate = 64;
  spec.experts = 8;
  spec.experts_used = 2;
  spec.heads = 4;
  spec.vocab = 1024;
  spec.canvas = kRowsMost;
  spec.window = 24;
  spec.layers = {{.full = false, .kv_heads = 2, .head_dim = 16},
                 {.full = true, .kv_heads = 1, .head_dim = 32, .has_v = false}};
  return spec;
}

void compare(Findings& findings, const std::string& what, std::span<const float> expected,
             std::span<const float> actual, std::span<const double> tolerance) {
  size_t worst = expected.size();
  double excess = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::bit_cast<uint32_t>(actual[i]) == std::bit_cast<uint32_t>(expected[i])) continue;
    const double off = std::fabs(static_cast<double>(actual[i]) - expected[i]);
    const double allowed = tolerance.empty() ? 0 : tolerance[i];
    const double beyond = std::isfinite(off) ? off - allowed : INFINITY;
    if (!tolerance.empty() && beyond <= 0) continue;
    if (worst < expected.size() && beyond <= excess) continue;
    worst = i;
    excess = beyond;
  }
  if (worst == expected.size()) return;
  findings.push_back(what + ": value " + std::to_string(worst) + " is " +
                     std::to_string(actual[worst]) + " instead of " +
                     std::to_string(expected[worst]) + ", which is " + std::to_string(excess) +
                     " beyond the tolerance of " +
                     (tolerance.empty() ? "no bit" : std::to_string(tolerance[worst])));
}

void expect(Findings& findings, bool holds, const std::string& what) {
  if (!holds) findings.push_back(what);
}

std::vector<Segment> segments_of(int first, int count) {
  std::vector<Segment> segments;
  int begin = 0;
  for (size_t i = 0; i < std::size(kSegmentRows); begin += kSegmentRows[i++]) {
    const int from = std::max(begin, first), to = std::min(begin + kSegmentRows[i], first + count);
    if (from >= to) continue;
    Segment s;
    s.mode = i % 2 == 0 ? Mode::encode : Mode::denoise;
    s.row_begin = from - first;
    s.rows = to - from;
    segments.push_back(s);
  }
  return segments;
}

void check_rows(Findings& findings, const RowOperation& op) {
  Floats together;
  for (int rows : kRowCounts) {
    together = op.run(0, rows);
    const auto values = static_cast<size_t>(rows * op.n);
    const std::span<const double> tolerance(op.tolerance.data(), op.tolerance.empty() ? 0 : values);
    compare(findings, op.name + " of " + std::to_string(rows) + " rows",
            std::span(op.expected).first(values), together, tolerance);
  }
  for (int row : {0, 6, 32, 33, 255})
    compare(findings, op.name + " of row " + std::to_string(row) + " alone",
            std::span(together).subspan(static_cast<size_t>(row * op.n), static_cast<size_t>(op.n)),
            op.run(row, 1));
}

double product_tolerance(Care care, std::span<const float> x, std::span<const float> w) {
  double magnitude = 0;
  for (size_t i = 0; i < x.size(); ++i) magnitude += std::fabs(static_cast<double>(x[i]) * w[i]);
  const double sums = static_cast<double>(x.size()) * 0x1p-22 * magnitude + 1e-20;
  const double usual = usual_tolerance(x, w), finest = finest_tolerance(x, w);
  if (care == Care::finest) return finest + 0x1p-15 * magnitude + sums;
  if (care == Care::fine) return std::max(finest, 0x1.02p-8 * magnitude) + usual / 256 + sums;
  return usual * 1.02 + finest + sums;
}

}  // namespace potluck
