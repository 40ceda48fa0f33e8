#include "kernels/cpu/machine/isa.h"

#if defined(__x86_64__)
#include "kernels/cpu/packed/amx.h"
#endif

namespace potluck::cpu {
namespace {

struct Entry {
  Isa isa;
  const char* name;
  bool (*available)();
};

bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

bool has_amx() {
#if defined(__x86_64__)
  return has_avx512() && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("avx512fp16") && __builtin_cpu_supports("amx-int8") &&
         amx::tiles_work();
#else
  return false;
#endif
}

constexpr Entry kIsas[] = {{Isa::amx, "amx", has_amx},
                           {Isa::avx512, "avx512", has_avx512},
                           {Isa::avx2, "avx2", has_avx2},
                           {Isa::portable, "portable", [] { return true; }}};

}  // namespace

const char* isa_name(Isa isa) {
  for (const Entry& entry : kIsas)
    if (entry.isa == isa) return entry.name;
  return "?";
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const Entry& entry : kIsas)
    if (name == entry.name) return entry.isa;
  return {};
}

std::string isa_names() {
  std::string names;
  for (const Entry& entry : kIsas) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

bool isa_available(Isa isa) {
  for (const Entry& entry : kIsas)
    if (entry.isa == isa) return entry.available();
  return false;
}

Isa best_isa() {
  for (const Entry& entry : kIsas)
    if (entry.available()) return entry.isa;
  return Isa::portable;
}

}  // namespace potluck::cpu
