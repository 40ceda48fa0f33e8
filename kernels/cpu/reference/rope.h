// Rotary position embedding (shard/MODEL.md §2.6).
#pragma once

#include <cstdint>

namespace potluck::cpu {

// Rotary embedding, rotate-half pairs (j, j + head_dim/2), j < pairs, by position · f_j, f_j =
// theta^(−2j/head_dim): a row's sines and cosines, [pairs] each, and its x [heads, head_dim]
// rotated in place.
void rope_frequencies(int head_dim, int pairs, float theta, float* frequency);
void rope_angles(int32_t position, const float* frequency, int pairs, float* sine, float* cosine);
void rope_row(float* x, const float* sine, const float* cosine, int heads, int head_dim, int pairs);

}  // namespace potluck::cpu
