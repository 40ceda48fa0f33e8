// Angles are products in f32, their sines and cosines exact in f64 and rounded once.
#include "kernels/cpu/reference/rope.h"

#include <algorithm>

#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {
namespace {

POTLUCK_CLONES void rotate(float* low, const float* sine, const float* cosine, int64_t pairs,
                           int64_t half) {
  for (int64_t j = 0; j < pairs; ++j) {
    const float a = low[j], b = low[half + j];
    low[j] = a * cosine[j] - b * sine[j];
    low[half + j] = b * cosine[j] + a * sine[j];
  }
}

}  // namespace

void rope_frequencies(int head_dim, int pairs, float theta, float* frequency) {
  const double log_theta = exact_log(theta);
  for (int j = 0; j < pairs; ++j) frequency[j] = exact_exp(-2.0 * j / head_dim * log_theta);
}

void rope_angles(int32_t position, const float* frequency, int pairs, float* sine, float* cosine) {
  constexpr int kPart = 64;  // pairs at a time
  const auto narrow = [](double value) { return value; };
  double angle[kPart], s[kPart], c[kPart];
  for (int first = 0; first < pairs; first += kPart) {
    const int count = std::min(kPart, pairs - first);
    for (int j = 0; j < count; ++j) angle[j] = position * frequency[first + j];
    exact_sincos(angle, count, s, c);
    std::transform(s, s + count, sine + first, narrow);
    std::transform(c, c + count, cosine + first, narrow);
  }
}

void rope_row(float* x, const float* sine, const float* cosine, int heads, int head_dim,
              int pairs) {
  for (int h = 0; h < heads; ++h) rotate(x + h * head_dim, sine, cosine, pairs, head_dim / 2);
}

}  // namespace potluck::cpu
