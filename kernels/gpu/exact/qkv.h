// Norm and RoPE of the heads of Q, K and V, and the storing of K and V (shard/MODEL.md §2.5, §2.6).
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"
#include "kernels/gpu/exact/rope_angles.h"
#include "topology/base/segment.h"

namespace potluck::gpu {

// Rows [kv_heads · head_dim] of K and of V that are written.
struct KvStore {
  void* k;
  void* v;
};

// q[t,h,:] = rope(rms(q[t,h,:]) ⊙ q_norm), in place; K[t,h,:] = rope(rms(k[t,h,:]) ⊙ k_norm);
// V[t,h,:] = rms₀(v[t,h,:]). K and V are rounded to `type`. An encoded row at position p is stored
// in its session's slot of `ring` at p mod capacity, a canvas row t in `fresh` at t.
//
// The pairs (j, j + head_dim/2), j < rope_pairs, turn by angles[t, j]. A block takes a row; rows of
// no segment change nothing.
struct Qkv {
  const StepParams* params;
  float* q;        // [rows, heads · head_dim], or nullptr: K and V alone
  const float* k;  // [rows, kv_heads · head_dim]
  const float* v;  // the same, or nullptr: V comes from the raw K
  const float* q_norm;
  const float* k_norm;      // [head_dim]
  const RopeAngle* angles;  // [rows, rope_pairs]
  KvStore ring;             // [slots · capacity, …]
  KvStore fresh;            // [rows, …]
  int64_t capacity;         // of a ring, in rows
  int32_t heads, kv_heads, head_dim;
  int32_t rope_pairs;
  float eps;
  Stored type;  // of K and V: f32, bf16 or f16
};

}  // namespace potluck::gpu
