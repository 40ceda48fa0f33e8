// Vocabulary attention, reference and fast, against a softmax over all logits in double.
#include "kernels/cpu/reference/vocab_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

#include "kernels/cpu/fast/vocab_attention.h"
#include "kernels/cpu/packed/choose.h"
#include "tests/kernels/isa_test.h"

namespace potluck::cpu {
namespace {

struct Answer {
  std::vector<VocabPartial> partial;
  std::vector<float> soft, entropy;
  int64_t read = 0;  // rows of E in Σ p·E, of the fast kernel
};

// Rows of random h over a random table, at one temperature.
struct Case {
  int64_t rows, hidden, vocab;
  std::vector<float> h, table, inverse_temperature;
  std::vector<StepKey> noise;
  std::vector<int32_t> position;

  Case(int64_t rows_, int64_t hidden_, int64_t vocab_, uint64_t seed)
      : rows(rows_),
        hidden(hidden_),
        vocab(vocab_),
        inverse_temperature(static_cast<size_t>(rows), 1 / 0.8f) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    h.resize(static_cast<size_t>(rows * hidden));
    table.resize(static_cast<size_t>(vocab * hidden));
    for (float& v : h) v = normal(random);
    for (float& v : table) v = normal(random);
    noise.assign(static_cast<size_t>(rows), {seed, 0, 0, 0});
    for (int64_t t = 0; t < rows; ++t) position.push_back(static_cast<int32_t>(t));
  }

  // Runs the reference, or an instruction set's fast kernel.
  Answer run(int threads, Isa isa = Isa::portable, decltype(VocabRequest::tap) tap = {}) const {
    Answer a{std::vector<VocabPartial>(static_cast<size_t>(rows)), std::vector<float>(h.size()),
             std::vector<float>(static_cast<size_t>(rows))};
    VocabRequest request;
    request.h = h.data();
    request.rows = rows;
    request.hidden = hidden;
    request.table = {DType::f32, table.data(), vocab, hidden};
    request.inverse_temperature = inverse_temperature.data();
    request.noise = noise.data();
    request.position = position.data();
    request.tap = std::move(tap);
    ThreadPool pool(threads);
    const size_t bytes = isa == Isa::portable
                             ? vocab_scratch(rows, hidden, threads)
                             : fast_vocab_scratch(isa, DType::f32, rows, hidden, threads);
    void* scratch = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (isa == Isa::portable)
      vocab_attention(request, a.partial.data(), a.soft.data(), scratch, pool);
    else
      a.read = fast_vocab_attention(isa, request, a.partial.data(), a.soft.data(), scratch, pool);
    std::free(scratch);
    return a;
  }

  std::vector<double> probabilities(int64_t t) const {
    std::vector<double> p;
    double mass = 0;
    for (int64_t v = 0; v < vocab; ++v) {
      double logit = 0;
      for (int64_t i = 0; i < hidden; ++i)
        logit += static_cast<double>(h[static_cast<size_t>(t * hidden + i)]) *
                 table[static_cast<size_t>(v * hidden + i)];
      p.push_back(std::exp(30 * std::tanh(logit / 30) / 0.8));
      mass += p.back();
    }
    for (double& value : p) value /= mass;
    return p;
  }
};

TEST(VocabAttention, OnePassMeetsTwoPasses) {
  const Case c(6, 24, 700, 1);
  Answer a = c.run(2);
  finish(a.partial.data(), c.rows, c.hidden, a.entropy.data(), a.soft.data());
  for (int64_t t = 0; t < c.rows; ++t) {
    const std::vector<double> p = c.probabilities(t);
    double entropy = 0, difference = 0, norm = 0;
    for (double value : p) entropy -= value > 0 ? value * std::log(value) : 0;
    EXPECT_NEAR(a.entropy[static_cast<size_t>(t)], entropy, 3e-5);
    EXPECT_EQ(a.partial[static_cast<size_t>(t)].argmax,
              std::max_element(p.begin(), p.end()) - p.begin());
    for (int64_t i = 0; i < c.hidden; ++i) {
      double soft = 0;
      for (int64_t v = 0; v < c.vocab; ++v)
        soft += p[static_cast<size_t>(v)] * c.table[static_cast<size_t>(v * c.hidden + i)];
      difference += std::pow(a.soft[static_cast<size_t>(t * c.hidden + i)] - soft, 2);
      norm += soft * soft;
    }
    EXPECT_LE(std::sqrt(difference / norm), 1e-5) << "row " << t;
  }
}

TEST(VocabAttention, ThreadsChangeNoBit) {
  const Case c(9, 16, 1000, 2);
  const Answer whole = c.run(1);
  const Answer three = c.run(3);
  EXPECT_EQ(whole.soft, three.soft);
}

// Equal logits in other lanes of a vector, in its rest and in a later tile.
TEST(VocabAttention, TheLowestOfEqualIdsIsTheArgmax) {
  Case c(1, 8, 500, 10);
  std::fill(c.h.begin(), c.h.end(), 1.0f);
  for (std::vector<int64_t> ids : {std::vector<int64_t>{37, 100, 420}, {53, 69, 72}, {498, 499}}) {
    std::fill(c.table.begin(), c.table.end(), -0.5f);
    for (int64_t id : ids) std::fill_n(c.table.begin() + id * c.hidden, c.hidden, 0.5f);
    EXPECT_EQ(c.run(1).partial[0].argmax, ids[0]);
  }
}

class FastVocabAttention : public IsaTest {};
POTLUCK_FOR_EACH_ISA(FastVocabAttention);

// bf16: logits of Σ |h·e| ≈ 15 are off by 2⁻⁷ of that at most, 0.03 as a rule; so is ln p, and the
// entropy and Σ p·E by a few times as much.
TEST_P(FastVocabAttention, MeetsTheReference) {
  for (const Case& c : {Case(6, 24, 700, 1), Case(37, 300, 1031, 4), Case(50, 136, 257, 5),
                        Case(19, 270, 2309, 8)}) {
    Answer exact = c.run(2), fast = c.run(2, GetParam());
    for (Answer* a : {&exact, &fast})
      finish(a->partial.data(), c.rows, c.hidden, a->entropy.data(), a->soft.data());
    for (int64_t t = 0; t < c.rows; ++t) {
      const auto i = static_cast<size_t>(t);
      EXPECT_NEAR(fast.partial[i].best, exact.partial[i].best, 0.25) << t;
      EXPECT_NEAR(fast.entropy[i], exact.entropy[i], 0.1) << t;
      double difference = 0, norm = 0;
      for (int64_t j = t * c.hidden; j < (t + 1) * c.hidden; ++j) {
        const auto k = static_cast<size_t>(j);
        difference += std::pow(fast.soft[k] - exact.soft[k], 2);
        norm += std::pow(exact.soft[k], 2);
      }
      EXPECT_LE(std::sqrt(difference / norm), 0.1) << t;
    }
  }
}

TEST_P(FastVocabAttention, ARowsBitsDependOnNeitherThreadsNorNeighbours) {
  const Case c(29, 72, 1900, 6);
  const Answer whole = c.run(1, GetParam());
  EXPECT_EQ(c.run(3, GetParam()).soft, whole.soft);
  for (int64_t t = 0; t < c.rows; ++t) {
    Case one = c;
    one.rows = 1;
    one.h.assign(c.h.begin() + t * c.hidden, c.h.begin() + (t + 1) * c.hidden);
    one.position[0] = c.position[static_cast<size_t>(t)];
    const Answer alone = one.run(1, GetParam());
    EXPECT_EQ(alone.soft, std::vector<float>(whole.soft.begin() + t * c.hidden,
                                             whole.soft.begin() + (t + 1) * c.hidden));
    EXPECT_EQ(alone.partial[0].sample, whole.partial[static_cast<size_t>(t)].sample);
  }
}

// All logits by id, as the tap is given them.
struct Tapped {
  int64_t rows, vocab, next = 0;
  std::vector<float> logits = std::vector<float>(static_cast<size_t>(rows * vocab));

  void take(int64_t first, int64_t ids, const float* from) {
    EXPECT_EQ(first, next);
    next = first + ids;
    for (int64_t t = 0; t < rows; ++t)
      std::copy_n(from + t * ids, ids, logits.begin() + t * vocab + first);
  }
};

TEST_P(FastVocabAttention, TheTapSeesEveryLogitAndChangesNoBit) {
  const Case c(21, 40, 1330, 9);
  Tapped exact{c.rows, c.vocab}, fast = exact;
  const auto into = [](Tapped& tapped) {
    return [&tapped](int64_t first, int64_t ids, const float* z) { tapped.take(first, ids, z); };
  };
  c.run(2, Isa::portable, into(exact));
  const Answer watched = c.run(2, GetParam(), into(fast));
  EXPECT_EQ(watched.soft, c.run(2, GetParam()).soft);
  EXPECT_EQ(fast.next, c.vocab);
  for (size_t i = 0; i < exact.logits.size(); ++i)
    ASSERT_NEAR(fast.logits[i], exact.logits[i], 0.25) << i;
}

// One id holds the mass: the others' weights cannot reach f32's sum.
TEST_P(FastVocabAttention, ReadsNoRowsThatWeighNothing) {
  Case c(9, 64, 4096, 7);
  for (float& e : c.table) e *= 1e-3f;
  for (int64_t i = 0; i < c.hidden; ++i) {
    c.table[static_cast<size_t>(i)] = 3;  // id 0, in the first tile
    for (int64_t t = 0; t < c.rows; ++t) c.h[static_cast<size_t>(t * c.hidden + i)] = 3;
  }
  const Answer a = c.run(2, GetParam());
  EXPECT_EQ(a.read, packed_product(GetParam(), DType::bf16).together);
  for (const VocabPartial& p : a.partial) EXPECT_EQ(p.argmax, 0);
  EXPECT_FLOAT_EQ(a.soft[0], 3.0f);
}

// 1,000,448 draws of one distribution over 300 ids in two tiles; classes expected under 20 times
// are pooled. χ² is compared with its mean + 5 standard deviations.
TEST(VocabAttention, TheSampleIsExactlyCategorical) {
  constexpr int64_t kRows = 256, kRounds = 3908, kVocab = 300, kHidden = 4;
  Case c(kRows, kHidden, kVocab, 3);
  for (int64_t t = 1; t < kRows; ++t) std::copy_n(c.h.begin(), kHidden, c.h.begin() + t * kHidden);
  std::vector<double> counts(kVocab, 0);
  for (uint32_t round = 0; round < kRounds; ++round) {
    for (StepKey& noise : c.noise) noise = {11, round / 200, round % 200, 7};
    for (const VocabPartial& p : c.run(2).partial) ++counts[static_cast<size_t>(p.sample)];
  }
  const std::vector<double> p = c.probabilities(0);
  double chi_square = 0, pooled_expected = 0, pooled = 0;
  int classes = 0;
  for (size_t v = 0; v < p.size(); ++v) {
    const double expected = p[v] * kRows * kRounds;
    if (expected < 20) {
      pooled_expected += expected;
      pooled += counts[v];
      continue;
    }
    chi_square += std::pow(counts[v] - expected, 2) / expected;
    ++classes;
  }
  if (pooled_expected > 0) chi_square += std::pow(pooled - pooled_expected, 2) / pooled_expected;
  ASSERT_GT(classes, 50);
  EXPECT_LT(chi_square, classes + 5 * std::sqrt(2.0 * classes));
}

}  // namespace
}  // namespace potluck::cpu
