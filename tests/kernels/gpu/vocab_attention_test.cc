// The GPU's vocabulary attention on the emulator, beside the reference: from soft-capped logits on.
#include "kernels/cpu/reference/vocab_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/exact_math.h"
#include "tests/emulator/emulator.h"

namespace potluck {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;
using emulator::Vendor;

constexpr int kVocab = 1100, kChunk = 512;
constexpr float kSoftcap = 30, kSoftScale = 53;
constexpr int kRows = 37 + 1 + 28;  // more than a block of the sum

Floats random_floats(int64_t n, uint32_t seed, float size) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> values(-size, size);
  Floats x(n);
  for (float& value : x) value = values(random);
  return x;
}

std::vector<Segment> canvases() {
  std::vector<Segment> all(3);
  const int rows[] = {37, 1, 28};
  const float inverse_temperature[] = {1.25f, 2.5f, 2.0f};
  int begin = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].mode = Mode::denoise;
    all[i].row_begin = begin;
    begin += all[i].rows = rows[i];
    all[i].inverse_temperature = inverse_temperature[i];
    all[i].key = {17 + i, 1, static_cast<uint32_t>(i), 9};
  }
  return all;
}

struct Answer {
  std::vector<gpu::VocabCandidate> candidates;
  Floats soft;
  int32_t ids_summed = 0;
};

// E, and rows whose logits are flat, then steeper and steeper: the last weigh few ids.
struct World {
  DType type;
  int64_t hidden;
  Bytes table;
  Floats e, h;

  World(DType of, int64_t columns)
      : type(of), hidden(columns), table(row_bytes(of, kVocab * columns)), e(kVocab * columns) {
    const Floats values = random_floats(kVocab * hidden, 1, 1);
    cpu::quantize_row(type, values.data(), table.data(), kVocab * hidden);
    cpu::dequantize_row(type, table.data(), e.data(), kVocab * hidden);
    h = random_floats(kRows * hidden, 2, 1);
    for (int64_t i = 0; i < kRows * hidden; ++i) h[i] *= 0.1f * (i / hidden);
  }
  cpu::WeightView view() const { return {type, table.data(), kVocab, hidden}; }
  gpu::Weights weights() const {
    return {reinterpret_cast<const uint8_t*>(table.data()), kVocab, hidden,
            static_cast<int64_t>(row_bytes(type, hidden)),
            type == DType::q8_0   ? gpu::Stored::q8_0
            : type == DType::bf16 ? gpu::Stored::bf16
                                  : gpu::Stored::f32};
  }
};

struct Expected {
  Answer answer;
  Floats logits;  // [kRows, kVocab], soft-capped
};

Expected by_reference(const World& w) {
  Expected expected{{}, Floats(kRows * kVocab)};
  Floats temperatures;
  std::vector<StepKey> keys;
  std::vector<int32_t> positions;
  for (const Segment& s : canvases())
    for (int t = 0; t < s.rows; ++t) {
      temperatures.push_back(s.inverse_temperature);
      keys.push_back(s.key);
      positions.push_back(t);
    }
  cpu::VocabRequest request;
  request.h = w.h.data();
  request.rows = kRows;
  request.hidden = w.hidden;
  request.table = w.view();
  request.softcap = kSoftcap;
  request.inverse_temperature = temperatures.data();
  request.noise = keys.data();
  request.position = positions.data();
  request.tap = [&](int64_t first, int64_t ids, const float* logits) {
    for (int t = 0; t < kRows; ++t)
      std::copy_n(logits + t * ids, ids, &expected.logits[t * kVocab + first]);
  };
  std::vector<cpu::VocabPartial> partial(kRows);
  Floats entropy(kRows);
  expected.answer.soft.resize(kRows * w.hidden);
  Bytes scratch(cpu::vocab_scratch(kRows, w.hidden, 1));
  cpu::ThreadPool pool(1);
  cpu::vocab_attention(request, partial.data(), expected.answer.soft.data(), scratch.data(), pool);
  cpu::finish(partial.data(), kRows, w.hidden, entropy.data(), expected.answer.soft.data());
  for (float& value : expected.answer.soft) value *= kSoftScale;
  for (int t = 0; t < kRows; ++t)
    expected.answer.candidates.push_back({partial[t].argmax, partial[t].sample, entropy[t]});
  return expected;
}

// The exact kernels or that which sums in f16, on a vendor's emulated card.
struct Kernels {
  Vendor vendor;
  bool f16;
};

// How a pass differs from the usual one.
struct Options {
  bool draws = true;
  bool skips = true;  // what weighs nothing
  float least_share = 0;
};

// Some segments' rows, whose logits lie in `logits` [kRows, kVocab] at their row_begin.
Answer by_kernels(const Kernels& kernels, const World& w, const Floats& logits,
                  const std::vector<Segment>& segments, const Options& options = {}) {
  StepParams params;
  std::vector<int> from;  // the row of the logits
  for (Segment s : segments) {
    for (int t = 0; t < s.rows; ++t) from.push_back(s.row_begin + t);
    s.row_begin = params.rows;
    params.rows += s.rows;
    params.segments[params.segment_count++] = s;
  }
  const int rows = params.rows;
  Answer answer{std::vector<gpu::VocabCandidate>(rows), Floats(rows * w.hidden, NAN), -1};
  std::vector<gpu::VocabPartial> partial(rows);
  Floats keep(rows);
  for (int64_t first = 0; first < kVocab; first += kChunk) {
    const gpu::VocabChunk chunk{first,
                                static_cast<int32_t>(std::min(kVocab - first, int64_t{kChunk}))};
    Floats z;
    for (const int row : from)
      z.insert(z.end(), &logits[row * kVocab + first], &logits[row * kVocab + first] + chunk.ids);
    std::vector<uint8_t> used(rows * chunk.tiles());
    emulator::run(kernels.vendor, {rows},
                  gpu::VocabFold{options.draws ? &params : nullptr, z.data(), partial.data(),
                                 keep.data(), used.data(), chunk, options.least_share});
    if (!options.skips) std::fill(used.begin(), used.end(), 0xff);
    emulator::run(kernels.vendor, {},
                  gpu::VocabCount{used.data(), &answer.ids_summed, chunk, rows});
    const gpu::VocabSum sum{z.data(),           keep.data(), used.data(), w.weights(),
                            answer.soft.data(), chunk,       rows};
    const int columns = static_cast<int>(w.hidden);
    if (kernels.f16)
      emulator::run(kernels.vendor,
                    {columns / gpu::kVocabSumF16Columns + 1, rows / gpu::kVocabSumF16Rows + 1},
                    gpu::VocabSumF16{sum});
    else
      emulator::run(kernels.vendor,
                    {columns / gpu::kVocabSumColumns + 1, rows / gpu::kVocabSumRows + 1}, sum);
  }
  emulator::run(kernels.vendor, {rows},
                gpu::VocabFinish{partial.data(), options.draws ? answer.candidates.data() : nullptr,
                                 answer.soft.data(), w.hidden, kSoftScale});
  return answer;
}

bool same(const gpu::VocabCandidate& a, const gpu::VocabCandidate& b) {
  return a.argmax == b.argmax && a.sample == b.sample && a.entropy == b.entropy;
}

// Both sides take e^(z/t − max) of the same z. Either is off by 2 ulp and by the rounding of its
// exponent, 150 at most, and that twice, for its tile and for all; sums over the vocabulary round
// once a term. So much of its size each weight and sum is off:
constexpr double kShare = (8 + 2 * 150 + kVocab) * 0x1p-22;

// Σ p·E of |E| ≤ 1 may be off by so much: in f16 a weight and E by 2⁻¹¹ of themselves each, or by
// 2⁻³⁹ of the greatest weight, and a matrix unit's sums may truncate.
double soft_tolerance(const Kernels& kernels) {
  return kSoftScale * (kShare + (kernels.f16 ? 2 * 0x1p-11 + kVocab * (0x1p-39 + 0x1p-22) : 0));
}

class GpuVocab : public testing::TestWithParam<Kernels> {};

TEST_P(GpuVocab, AnswersAsTheReferenceDoes) {
  for (const auto& [type, hidden] : {std::pair{DType::f32, 70}, {DType::q8_0, 96}}) {
    const World w(type, hidden);
    const auto [expected, logits] = by_reference(w);
    const Answer actual = by_kernels(GetParam(), w, logits, canvases());
    for (int t = 0; t < kRows; ++t) {
      const gpu::VocabCandidate &a = actual.candidates[t], &e = expected.candidates[t];
      EXPECT_EQ(a.argmax, e.argmax) << "row " << t;
      EXPECT_EQ(a.sample, e.sample) << "row " << t;
      EXPECT_NEAR(a.entropy, e.entropy, kShare * (1 + 2 * std::log(kVocab))) << "row " << t;
      for (int64_t i = t * hidden; i < (t + 1) * hidden; ++i)
        ASSERT_NEAR(actual.soft[i], expected.soft[i], soft_tolerance(GetParam())) << "row " << t;
    }
  }
}

TEST_P(GpuVocab, ACanvasAloneHasTheSameBits) {
  const World w(DType::q8_0, 32);
  const Floats logits = by_reference(w).logits;
  const Answer together = by_kernels(GetParam(), w, logits, canvases());
  for (const Segment& s : canvases()) {
    const Answer alone = by_kernels(GetParam(), w, logits, {s});
    for (int t = 0; t < s.rows; ++t)
      EXPECT_TRUE(same(alone.candidates[t], together.candidates[s.row_begin + t])) << t;
    EXPECT_EQ(0, std::memcmp(alone.soft.data(), &together.soft[s.row_begin * w.hidden],
                             alone.soft.size() * sizeof(float)));
  }
}

TEST_P(GpuVocab, WhatWeighsNothingIsNotRead) {
  const World w(DType::q8_0, 32);
  Floats logits = by_reference(w).logits;
  Segment last = canvases().back();
  last.row_begin += last.rows - 3;
  last.rows = 3;
  // In all three rows 12 spans weigh e^−100, which is 0, and 3 weigh e^−30.
  for (int t = last.row_begin; t < kRows; ++t) {
    float* row = &logits[t * kVocab];
    row[3] = 30;
    std::fill(row + 256, row + 640, -20.0f);
    std::fill(row + 704, row + 800, 15.0f);
  }
  const Answer all = by_kernels(GetParam(), w, logits, {last}, {.skips = false});
  EXPECT_EQ(all.ids_summed, kVocab);
  const Answer some = by_kernels(GetParam(), w, logits, {last});
  const Answer fewer = by_kernels(GetParam(), w, logits, {last}, {.least_share = 0x1p-24f});
  EXPECT_EQ(some.ids_summed, kVocab - 384);
  EXPECT_LE(fewer.ids_summed, kVocab - 384 - 96);
  EXPECT_GT(fewer.ids_summed, 0);
  EXPECT_EQ(0, std::memcmp(some.soft.data(), all.soft.data(), all.soft.size() * sizeof(float)));
  for (size_t i = 0; i < all.soft.size(); ++i)
    EXPECT_NEAR(fewer.soft[i], all.soft[i], kSoftScale * (kShare + kVocab * 0x1p-24));
}

TEST_P(GpuVocab, WeighsRecordedLogits) {
  const World w(DType::bf16, 33);
  const Floats z = random_floats(kRows * kVocab, 3, 4);
  Floats expected(kRows * w.hidden), scratch((kVocab + 256) * (w.hidden + kRows));
  cpu::ThreadPool pool(1);
  cpu::soft_from_logits(z.data(), kRows, w.view(), expected.data(), scratch.data(), pool);
  const Answer actual = by_kernels(GetParam(), w, z, canvases(), {.draws = false});
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(actual.soft[i], expected[i] * kSoftScale, soft_tolerance(GetParam()))
        << i / w.hidden;
}

TEST_P(GpuVocab, CapsSoftly) {
  constexpr int kValues = gpu::kSoftCapValues + 77;
  Floats x = random_floats(kValues + 1, 4, 90), expected = x;
  cpu::exact_softcaps(expected.data(), kValues, kSoftcap);
  emulator::run(GetParam().vendor, {2}, gpu::SoftCap{x.data(), kValues, kSoftcap});
  // Quotient, tanh and product: 1, 3 and 1 ulp, the reference 4 in all.
  for (int i = 0; i < kValues; ++i) ASSERT_NEAR(x[i], expected[i], 9 * 0x1p-23 * kSoftcap);
  EXPECT_EQ(x[kValues], expected[kValues]);
}

std::vector<Kernels> all_kernels() {
  std::vector<Kernels> kernels;
  for (const Vendor vendor : emulator::kWarpSizes) kernels.push_back({vendor, false});
  for (const Vendor vendor : emulator::kVendors) kernels.push_back({vendor, true});
  return kernels;
}

INSTANTIATE_TEST_SUITE_P(Kernels, GpuVocab, testing::ValuesIn(all_kernels()),
                         [](const auto& kernels) {
                           return std::string(kernels.param.f16 ? "F16_" : "Exact_") +
                                  name_of(kernels.param.vendor);
                         });

}  // namespace
}  // namespace potluck
