// Ten rounds of Philox, and the numbers that are made of their 128 bits.
#include "kernels/noise/philox.h"

namespace potluck::noise {
namespace {

std::array<uint32_t, 4> draw(const NoiseAddress& at) {
  return philox4x32({at.position, (static_cast<uint32_t>(at.purpose) << 28) | at.tile,
                     (at.key.canvas << 8) | at.key.step, at.key.answer},
                    at.key.seed);
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, uint64_t key) {
  uint32_t k0 = key, k1 = key >> 32;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

double uniform(const NoiseAddress& at) {
  const auto bits = draw(at);
  const uint64_t k = (static_cast<uint64_t>(bits[1]) << 32 | bits[0]) >> 12;
  return (k + 0.5) * 0x1p-52;
}

uint32_t uniform_below(const NoiseAddress& at, uint32_t bound) {
  const auto bits = draw(at);
  const uint64_t wide = static_cast<uint64_t>(bits[1]) << 32 | bits[0];
  return (static_cast<unsigned __int128>(wide) * bound) >> 64;
}

}  // namespace potluck::noise
