// The head's operations: vocabulary attention and soft embeddings of recorded logits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/reference/vocab_attention.h"
#include "tests/contract/backend/backend_bench.h"

namespace potluck {
namespace {

constexpr int kHidden = 64, kVocab = 1000;  // the last tile of ids is a part of one
constexpr float kSoftcap = 30, kSoftScale = 7.9375f;

// Canvases of 1, 7, 33 and 215 rows, each at its own temperature and step.
std::vector<Segment> canvases() {
  std::vector<Segment> segments;
  int begin = 0;
  for (const int rows : {1, 7, 33, 215}) {
    Segment s;
    s.mode = Mode::denoise;
    s.row_begin = begin;
    s.rows = rows;
    s.inverse_temperature = 1.25f + 0.5f * static_cast<float>(segments.size());
    s.key = {.seed = 7, .answer = 1, .canvas = 2, .step = static_cast<uint32_t>(segments.size())};
    segments.push_back(s);
    begin += rows;
  }
  return segments;
}

struct Answer {
  std::vector<RowCandidate> candidates;
  Floats soft, logits;  // logits: [rows, kVocab], from the tap
  int64_t tapped = 0;   // ids that the tap was given
  int32_t summed = 0;
};

LogitTap tap_into(Answer& answer, int rows) {
  answer.logits.resize(static_cast<size_t>(rows) * kVocab);
  return [&answer, rows](int64_t first, int64_t ids, const float* logits) {
    answer.tapped += ids;
    for (int t = 0; t < rows; ++t)
      std::copy_n(logits + t * ids, ids, answer.logits.begin() + t * kVocab + first);
  };
}

Answer expected_answer(const Floats& h, const StoredWeights& table) {
  Answer answer;
  Floats inverse_temperature;
  std::vector<StepKey> keys;
  std::vector<int32_t> position;
  for (const Segment& s : canvases())
    for (int t = 0; t < s.rows; ++t) {
      inverse_temperature.push_back(s.inverse_temperature);
      keys.push_back(s.key);
      position.push_back(t);
    }
  cpu::VocabRequest request;
  request.h = h.data();
  request.rows = kRowsMost;
  request.hidden = kHidden;
  request.table = {table.type, table.blocks.get(), kVocab, kHidden};
  request.softcap = kSoftcap;
  request.inverse_temperature = inverse_temperature.data();
  request.noise = keys.data();
  request.position = position.data();
  request.tap = tap_into(answer, kRowsMost);
  std::vector<cpu::VocabPartial> partial(kRowsMost);
  Floats entropy(kRowsMost);
  answer.soft.resize(h.size());
  cpu::ThreadPool pool(1);
  std::vector<std::byte> scratch(cpu::vocab_scratch(kRowsMost, kHidden, 1));
  cpu::vocab_attention(request, partial.data(), answer.soft.data(), scratch.data(), pool);
  cpu::finish(partial.data(), kRowsMost, kHidden, entropy.data(), answer.soft.data());
  for (float& value : answer.soft) value *= kSoftScale;
  for (size_t t = 0; t < partial.size(); ++t)
    answer.candidates.push_back({partial[t].argmax, partial[t].sample, entropy[t]});
  return answer;
}

Answer answer_of(BackendBench& bench, const Matrix& table, const Floats& h,
                 std::vector<Segment> segments, bool tapped) {
  Floats own;
  int rows = 0;
  for (Segment& s : segments) {
    own.insert(own.end(), h.begin() + s.row_begin * kHidden,
               h.begin() + (s.row_begin + s.rows) * kHidden);
    s.row_begin = rows;
    rows += s.rows;
  }
  Answer answer;
  const Tensor candidates = bench->allocate(static_cast<size_t>(rows) * sizeof(RowCandidate));
  const Tensor soft = bench.space(rows * kHidden), summed = bench->allocate(sizeof(int32_t));
  bench->vocab_attention({.params = bench.put(segments),
                          .h = bench.put(own),
                          .table = table,
                          .softcap = kSoftcap,
                          .soft_scale = kSoftScale,
                          .rows = rows,
                          .candidates = candidates,
                          .soft = soft,
                          .ids_summed = summed,
                          .tap = tapped ? tap_into(answer, rows) : LogitTap{}});
  answer.candidates = bench.read<RowCandidate>(candidates, rows);
  answer.soft = bench.floats(soft, rows * kHidden);
  answer.summed = bench.read<int32_t>(summed, 1).front();
  return answer;
}

Floats entropies(const std::vector<RowCandidate>& rows) {
  Floats values;
  for (const RowCandidate& row : rows) values.push_back(row.entropy);
  return values;
}

Floats ids(const std::vector<RowCandidate>& rows, int32_t RowCandidate::*which) {
  Floats values;
  for (const RowCandidate& row : rows) values.push_back(static_cast<float>(row.*which));
  return values;
}

struct Tolerances {
  std::vector<double> logits, entropy, soft;
};

// On the grid logits are off by no more than sums round; δ is that of z = logit / t. A weight is
// then off by e^2δ − 1 of itself and ln p by 2δ, so the entropy by as much of each; Σ p·E keeps 8
// bits of a weight, or 13 of the largest, and may leave out rows under 2⁻²⁴ of the mass.
Tolerances tolerances_of(const Floats& h, const StoredWeights& table, const Answer& expected) {
  Tolerances all;
  for (const Segment& s : canvases())
    for (int row = s.row_begin; row < s.row_begin + s.rows; ++row) {
      const auto own = std::span(h).subspan(static_cast<size_t>(row) * kHidden, kHidden);
      const float* logits = expected.logits.data() + row * kVocab;
      const double top = *std::max_element(logits, logits + kVocab);
      double delta = 0, mass = 0;
      for (int v = 0; v < kVocab; ++v) {
        double size = kSoftcap * 0x1p-22;
        for (size_t i = 0; i < kHidden; ++i)
          size += kHidden * 0x1p-22 * std::fabs(own[i] * table.row(v)[i]);
        all.logits.push_back(size);
        delta = std::max(delta, size * s.inverse_temperature);
        mass += std::exp((logits[v] - top) * s.inverse_temperature);
      }
      const double off = std::expm1(2 * delta),
                   entropy = expected.candidates[static_cast<size_t>(row)].entropy;
      all.entropy.push_back(off * (entropy + 2 * delta) + 2 * delta + kVocab * 0x1p-22);
      for (int i = 0; i < kHidden; ++i) {
        double size = 0, sum = 0;
        for (int v = 0; v < kVocab; ++v) {
          const double e = std::fabs(table.row(v)[static_cast<size_t>(i)]);
          size += std::exp((logits[v] - top) * s.inverse_temperature) / mass * e;
          sum += e;
        }
        all.soft.push_back(kSoftScale * ((off + 0x1p-7 + kVocab * 0x1p-22) * size +
                                         (0x1p-13 / mass + 0x1p-24) * sum));
      }
    }
  return all;
}

// A backend that holds e as the table and has room for the head's operations on it.
struct HeadBench {
  HeadBench(const BackendKind& kind, const StoredWeights& e)
      : bench(kind), table(bench.put(e, Care::raw)) {
    bench->reserve({.spec = &spec, .rows = kRowsMost, .keys = 0, .head = true});
  }

  BackendBench bench;
  const Matrix table;
  const ModelSpec spec = small_spec(kHidden);
};

// The bits of each canvas alone are those of all together. On the grid two logits are equal or
// 2⁻¹² apart, so argmax is the same everywhere; a draw is too unless two tiles race to within 2δ,
// about 1e-4 of each other, which no row of these does.
Findings answers_for_the_vocabulary(const BackendKind& kind) {
  Findings findings;
  const Floats h = grid_floats(kRowsMost * kHidden, 61);
  const StoredWeights e(DType::q8_0, 1, kVocab, kHidden, grid_floats(kVocab * kHidden, 62));
  HeadBench head(kind, e);
  const Answer expected = expected_answer(h, e);
  const Tolerances allowed = kind.exact ? Tolerances{} : tolerances_of(h, e, expected);
  const Answer all = answer_of(head.bench, head.table, h, canvases(), true);
  compare(findings, "logits of the tap", expected.logits, all.logits, allowed.logits);
  expect(findings, all.tapped == kVocab, "the tap was not given each id once");
  expect(findings, all.summed >= 1 && all.summed <= kVocab, "no such number of ids was summed");
  compare(findings, "argmax", ids(expected.candidates, &RowCandidate::argmax),
          ids(all.candidates, &RowCandidate::argmax));
  compare(findings, "sample", ids(expected.candidates, &RowCandidate::sample),
          ids(all.candidates, &RowCandidate::sample));
  compare(findings, "entropy", entropies(expected.candidates), entropies(all.candidates),
          allowed.entropy);
  compare(findings, "soft embeddings", expected.soft, all.soft, allowed.soft);
  for (const Segment& s : canvases()) {
    const Answer alone = answer_of(head.bench, head.table, h, {s}, false);
    const std::string where = " of " + std::to_string(s.rows) + " rows alone";
    const auto rows = std::span(all.candidates).subspan(s.row_begin, s.rows);
    const std::vector<RowCandidate> own(rows.begin(), rows.end());
    compare(findings, "sample" + where, ids(own, &RowCandidate::sample),
            ids(alone.candidates, &RowCandidate::sample));
    compare(findings, "entropy" + where, entropies(own), entropies(alone.candidates));
    compare(findings, "soft embeddings" + where,
            std::span(all.soft).subspan(static_cast<size_t>(s.row_begin) * kHidden,
                                        static_cast<size_t>(s.rows) * kHidden),
            alone.soft);
  }
  return findings;
}

// A row of h that holds one NaN or infinity answers with an entropy that is not a number, and the
// rows beside it as if it were not there.
Findings tells_of_lost_rows(const BackendKind& kind) {
  Findings findings;
  const Floats h = grid_floats(kRowsMost * kHidden, 61);
  const StoredWeights e(DType::q8_0, 1, kVocab, kHidden, grid_floats(kVocab * kHidden, 62));
  HeadBench head(kind, e);
  const std::vector<RowCandidate> whole =
      answer_of(head.bench, head.table, h, canvases(), false).candidates;
  Floats spoilt = h;
  spoilt[5 * kHidden + 3] = std::numeric_limits<float>::quiet_NaN();
  spoilt[200 * kHidden + kHidden - 1] = -std::numeric_limits<float>::infinity();
  const std::vector<RowCandidate> rows =
      answer_of(head.bench, head.table, spoilt, canvases(), false).candidates;
  for (size_t t = 0; t < rows.size(); ++t)
    if (t == 5 || t == 200)
      expect(
          findings, std::isnan(rows[t].entropy),
          "lost row " + std::to_string(t) + " has the entropy " + std::to_string(rows[t].entropy));
    else
      expect(findings, rows[t].entropy == whole[t].entropy,
             "row " + std::to_string(t) + " changed with a row beside it");
  return findings;
}

// The table's second half repeats its first, so each maximum comes twice: in another tile, lane and
// thread. Of a row of zeros all logits are equal. The lowest id counts, as with torch.
Findings takes_the_lowest_of_equal_logits(const BackendKind& kind) {
  Findings findings;
  constexpr int kHalf = kVocab / 2;
  Floats h = grid_floats(kRowsMost * kHidden, 65), rows = grid_floats(kVocab * kHidden, 66);
  std::fill_n(h.begin(), kHidden, 0.0f);
  std::copy_n(rows.begin(), kHalf * kHidden, rows.begin() + kHalf * kHidden);
  const StoredWeights e(DType::q8_0, 1, kVocab, kHidden, rows);
  HeadBench head(kind, e);
  const Floats found = ids(answer_of(head.bench, head.table, h, canvases(), false).candidates,
                           &RowCandidate::argmax);
  compare(findings, "argmax", ids(expected_answer(h, e).candidates, &RowCandidate::argmax), found);
  expect(findings, found.front() == 0, "of equal logits the first is not taken");
  for (const float id : found)
    expect(findings, id < kHalf, "of two equal logits the later is taken");
  return findings;
}

// Sums over the vocabulary in f32 are off by V · 2⁻²² of their terms' sizes: √V · 2 at most.
Findings weighs_recorded_logits(const BackendKind& kind) {
  Findings findings;
  constexpr int kRows = 33;
  const StoredWeights e(DType::bf16, 1, kVocab, kHidden, random_floats(kVocab * kHidden, 63));
  HeadBench head(kind, e);
  const Floats z = random_floats(kRows * kVocab, 64, 4);
  Floats expected(kRows * kHidden), scratch(kVocab + kHidden);
  cpu::ThreadPool pool(1);
  std::vector<std::byte> room(cpu::vocab_scratch(kRows, kHidden, 1));
  cpu::soft_from_logits(z.data(), kRows, {e.type, e.blocks.get(), kVocab, kHidden}, expected.data(),
                        reinterpret_cast<float*>(room.data()), pool);
  for (float& value : expected) value *= kSoftScale;
  const std::vector<double> tolerance(kind.exact ? 0 : expected.size(),
                                      kSoftScale * kVocab * 0x1p-22 * 2 * std::sqrt(kVocab));
  for (const int rows : {1, 7, kRows}) {
    const Tensor soft = head.bench.space(rows * kHidden);
    Floats host(z.begin(), z.begin() + rows * kVocab);
    head.bench->soft_from_logits(host.data(), head.table, kSoftScale, rows, soft);
    head.bench->wait();
    std::fill(host.begin(), host.end(), -1.0f);
    const auto values = static_cast<size_t>(rows) * kHidden;
    compare(findings, "soft embeddings of recorded logits", std::span(expected).first(values),
            head.bench.floats(soft, rows * kHidden),
            std::span(tolerance).first(kind.exact ? 0 : values));
  }
  return findings;
}

}  // namespace

std::vector<BackendCheck> head_checks() {
  return {{"AnswersForTheVocabulary", answers_for_the_vocabulary},
          {"TellsOfLostRows", tells_of_lost_rows},
          {"TakesTheLowestOfEqualLogits", takes_the_lowest_of_equal_logits},
          {"WeighsRecordedLogits", weighs_recorded_logits}};
}

}  // namespace potluck
