// A number below a bound takes 128 bits of a product, which a GPU's compiler may not have.
#include "kernels/noise/philox.h"

namespace potluck::noise {

uint32_t uniform_below(const NoiseAddress& at, uint32_t bound) {
  return (static_cast<unsigned __int128>(uniform_bits(at)) * bound) >> 64;
}

}  // namespace potluck::noise
