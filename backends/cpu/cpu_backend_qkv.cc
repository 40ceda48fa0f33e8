// CpuBackend norms and rotates Q, K and V a row all the way, while it is in L1.
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/host_memory.h"
#include "kernels/cpu/machine/arena.h"
#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "kernels/cpu/reference/rope.h"
#include "topology/base/check.h"

namespace potluck {
namespace {

// The memory that one thread works in.
struct Own {
  float* values;         // [kv_width]
  float *sine, *cosine;  // [pairs]
};

struct Scratch {
  float* frequency;  // [pairs]
  float* threads;    // an Own for each
  int64_t kv_width, pairs;

  int64_t each() const { return kv_width + 2 * pairs; }
  Own own(int thread) const {
    float* at = threads + thread * each();
    return {at, at + kv_width, at + kv_width + pairs};
  }
};

Scratch take_scratch(int64_t kv_width, int64_t pairs, int threads, cpu::Arena& arena) {
  Scratch s{nullptr, nullptr, kv_width, pairs};
  s.frequency = arena.take<float>(pairs);
  s.threads = arena.take<float>(threads * s.each());
  return s;
}

// A segment's K and V are stored in the ring of its session, or in the canvas' own rows.
struct StoredRows {
  const Segment& s;
  const KvLayer& kv;
  size_t bytes;

  std::byte* at(Tensor ring, Tensor canvas, int64_t t) const {
    const bool encode = s.mode == Mode::encode;
    const int64_t row =
        encode ? s.slot * kv.capacity + (s.position + t) % kv.capacity : s.row_begin + t;
    return bytes_at(encode ? ring : canvas, row * bytes);
  }
};

// A row of a pass, and the places of its K and V; q may be nullptr.
struct Row {
  int32_t position;
  float* q;
  const float *k, *v;
  std::byte *to_k, *to_v;
};

struct Norms {
  const float *q, *k;
};

void norm_heads(const AttentionLayer& layer, int heads, const float* x, const float* weight,
                float* out) {
  for (int h = 0; h < heads; ++h) {
    const int64_t at = int64_t{h} * layer.head_dim;
    cpu::rms_norm_row(x + at, weight, layer.eps, layer.head_dim, out + at);
  }
}

void run_row(const AttentionLayer& layer, DType kv_type, const Norms& norms, const Row& row,
             const float* frequency, const Own& own) {
  const int dim = layer.head_dim, pairs = layer.rope_pairs;
  const int64_t width = layer.kv_width();
  norm_heads(layer, layer.kv_heads, row.v, nullptr, own.values);
  cpu::quantize_row(kv_type, own.values, row.to_v, width);
  cpu::rope_angles(row.position, frequency, pairs, own.sine, own.cosine);
  norm_heads(layer, layer.kv_heads, row.k, norms.k, own.values);
  cpu::rope_row(own.values, own.sine, own.cosine, layer.kv_heads, dim, pairs);
  cpu::quantize_row(kv_type, own.values, row.to_k, width);
  if (!row.q) return;
  norm_heads(layer, layer.heads, row.q, norms.q, row.q);
  cpu::rope_row(row.q, own.sine, own.cosine, layer.heads, dim, pairs);
}

}  // namespace

size_t CpuBackend::qkv_scratch(int64_t kv_width, int64_t head_dim, int threads) {
  cpu::Arena arena(nullptr);
  take_scratch(kv_width, head_dim / 2, threads, arena);
  return arena.used();
}

void CpuBackend::qkv(const Qkv& op) {
  const StepParams& p = step_params(op.params);
  const AttentionLayer& layer = op.layer;
  const int64_t q_width = layer.q_width();
  const int64_t width = layer.kv_width();
  cpu::Arena arena(scratch_.data);
  const Scratch scratch = take_scratch(width, layer.rope_pairs, pool_.threads(), arena);
  CHECK(arena.used() <= scratch_.bytes, arena.used(), scratch_.bytes);
  cpu::rope_frequencies(layer.head_dim, layer.rope_pairs, layer.rope_theta, scratch.frequency);
  const float* values = f32(op.v.empty() ? op.k : op.v);
  for (int i = 0; i < p.segment_count; ++i) {
    const Segment& s = p.segments[i];
    const StoredRows stored{s, op.kv, row_bytes(op.kv.type, width)};
    cpu::each_row(s.rows, pool_, [&](int64_t t, int thread) {
      const int64_t row = s.row_begin + t;
      run_row(layer, op.kv.type, {f32(op.q_norm), f32(op.k_norm)},
              {.position = s.position + static_cast<int32_t>(t),
               .q = op.q.empty() ? nullptr : f32(op.q) + row * q_width,
               .k = f32(op.k) + row * width,
               .v = values + row * width,
               .to_k = stored.at(op.kv.k, op.fresh.k, t),
               .to_v = stored.at(op.kv.v, op.fresh.v, t)},
              scratch.frequency, scratch.own(thread));
    });
  }
}

}  // namespace potluck
