// Asks an x86-64 processor what it has; portable_alone.cc answers elsewhere.
#include "kernels/cpu/packed/available.h"

#include <algorithm>

#include "kernels/cpu/packed/amx.h"

namespace potluck::cpu {
namespace {

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
}

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

bool has_amx() {
  return has_avx512() && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("avx512fp16") && __builtin_cpu_supports("amx-int8") &&
         amx::tiles_work();
}

}  // namespace

bool isa_available(Isa isa) {
  switch (isa) {
    case Isa::amx:
      return has_amx();
    case Isa::avx512:
      return has_avx512();
    case Isa::avx2:
      return has_avx2();
    case Isa::portable:
      return true;
  }
  __builtin_unreachable();
}

Isa best_isa() {
  return *std::find_if(std::begin(kIsas), std::end(kIsas), isa_available);
}

}  // namespace potluck::cpu
