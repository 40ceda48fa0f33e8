// Vocabulary attention: soft cap → temperature → (argmax, sample, entropy, Σ p·E) in one pass over
// the tied table E, with Q = h and K = V = E. Logits live a tile at a time and are never stored.
//
// Sampling is an exponential race: vocabulary tiles of fixed width kSampleTile each draw e = −ln u;
// the tile with the least e / mass wins, and a second uniform picks an id inside it. It is exact
// and associative, and no order changes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/weight_view.h"
#include "topology/base/step_key.h"

namespace potluck::cpu {

inline constexpr int kSampleTile = 256;  // part of the definition, whatever a kernel's blocking

// The sums over E's rows for one canvas row.
struct VocabPartial {
  float max;       // the greatest z = softcap(logit) / t
  float mass;      // Σ e^(z − max)
  float moment;    // Σ (z − max) · e^(z − max): small where the row is sure
  float best;      // the greatest z (equals max) …
  int32_t argmax;  // … and its id; ties: lowest
  double race;     // least ln(−ln u) − ln(tile mass) over the tiles so far
  int32_t sample;  // id picked inside the winning tile
};

struct VocabRequest {
  const float* h = nullptr;  // [rows, H], after the final norm
  int64_t rows = 0;
  int64_t hidden = 0;
  WeightView table;  // E
  float softcap = 30.0f;
  // Per row, because rows of several canvases may share a pass:
  const float* inverse_temperature = nullptr;  // [rows]
  const StepKey* noise = nullptr;              // [rows]
  const int32_t* position = nullptr;           // [rows] within its canvas
  // Optional tap (verify): soft-capped logits of a tile before temperature, [rows, ids] row-major.
  std::function<void(int64_t first_id, int64_t ids, const float* logits)> tap;
};

// Bytes of scratch, which depend on shapes alone.
size_t vocab_scratch(int64_t rows, int64_t hidden, int threads);

// partial: [rows]; soft: [rows, H] = Σ e^(z − max)·E (not yet divided by mass).
void vocab_attention(const VocabRequest& request, VocabPartial* partial, float* soft, void* scratch,
                     ThreadPool& pool);

// entropy = ln Σe^z − Σ z·p (nats, ≥ 0; NaN where a logit was); soft[t,:] /= mass.
void finish(const VocabPartial* partial, int64_t rows, int64_t hidden, float* entropy, float* soft);

// soft = Σ softmax(z)·E for a recorded distribution z [rows, V], z = logits / t (verify's forced
// replay; tests).
void soft_from_logits(const float* z, int64_t rows, const WeightView& table, float* soft,
                      float* scratch, ThreadPool& pool);

}  // namespace potluck::cpu
