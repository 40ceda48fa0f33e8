// Which instruction set the fast kernels use: the one place that looks at the processor.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace potluck::cpu {

// Falling order of preference; each needs what is named.
enum class Isa {
  amx,       // AMX tiles beside AVX-512 and its BF16
  avx512,    // AVX-512 F, BW, DQ, VL, VBMI and VNNI
  avx2,      // AVX2, FMA and F16C
  portable,  // none: the reference kernels serve
};

const char* isa_name(Isa isa);  // "avx512"
std::optional<Isa> isa_from_name(std::string_view name);
std::string isa_names();      // "amx, avx512, avx2, portable", for messages
bool isa_available(Isa isa);  // on this machine, in this build
Isa best_isa();

}  // namespace potluck::cpu
