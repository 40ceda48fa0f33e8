// Isa: the instruction sets that the fast kernels are written for, and their names. Which of them
// this machine has is asked in kernels/cpu/packed/available.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace potluck::cpu {

// The best comes first; each needs what its comment names.
enum class Isa {
  amx,       // AMX tiles beside AVX-512 and its BF16
  avx512,    // AVX-512 F, BW, DQ, VL, VBMI and VNNI
  avx2,      // AVX2, FMA and F16C
  portable,  // none: the reference kernels serve
};
inline constexpr Isa kIsas[] = {Isa::amx, Isa::avx512, Isa::avx2, Isa::portable};

const char* isa_name(Isa isa);  // "avx512"
std::optional<Isa> isa_from_name(std::string_view name);
std::string isa_names();  // "amx, avx512, avx2, portable", for messages

}  // namespace potluck::cpu
