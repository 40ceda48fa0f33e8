// Rotary position embedding (shard/MODEL.md §2.6).
#pragma once

#include <cstdint>

namespace potluck::cpu {

// Pairs (j, j + head_dim/2), j < pairs, are rotated by position · f_j, f_j = theta^(−2j/head_dim).
// rope_frequencies gives f, rope_angles a row's sines and cosines, [pairs] each, and rope_row
// rotates its x [heads, head_dim] in place.
void rope_frequencies(int head_dim, int pairs, float theta, float* frequency);
void rope_angles(int32_t position, const float* frequency, int pairs, float* sine, float* cosine);
void rope_row(float* x, const float* sine, const float* cosine, int heads, int head_dim, int pairs);

}  // namespace potluck::cpu
