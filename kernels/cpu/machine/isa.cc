// The names of the instruction sets, as flags and messages spell them.
#include "kernels/cpu/machine/isa.h"

namespace potluck::cpu {

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::amx:
      return "amx";
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    case Isa::portable:
      return "portable";
  }
  __builtin_unreachable();
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const Isa isa : kIsas)
    if (name == isa_name(isa)) return isa;
  return {};
}

std::string isa_names() {
  std::string names;
  for (const Isa isa : kIsas) names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  return names;
}

}  // namespace potluck::cpu
