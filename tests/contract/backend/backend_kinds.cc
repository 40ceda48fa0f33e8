// The kinds of backend that the contract suite runs on.
#include "backends/cpu/cpu_backend.h"
#include "backends/gpu/gpu_backend.h"
#include "backends/profiled/profiled_backend.h"
#include "kernels/cpu/packed/available.h"
#include "tests/contract/backend/backend_contract.h"
#include "tests/contract/backend/deferred_backend.h"
#include "tests/emulator/emulated_driver.h"

namespace potluck {
namespace {

// Two threads, so that rows are shared between them.
std::unique_ptr<Backend> on_cpu(cpu::Isa isa) {
  return std::make_unique<CpuBackend>(2, isa);
}

std::unique_ptr<Backend> on_card(emulator::Vendor vendor, Precision precision) {
  return std::make_unique<GpuBackend>(
      std::make_unique<EmulatedDriver>(vendor, std::make_shared<EmulatedDriver::Books>()),
      GpuOptions{.name = "emulated", .precision = precision});
}

// A profiler owns nothing; this one owns what it looks at.
class OwnedProfiledBackend final : public ForwardingBackend {
 public:
  explicit OwnedProfiledBackend(std::unique_ptr<Backend> profiled)
      : ForwardingBackend(std::make_unique<ProfiledBackend>(*profiled)),
        owned_(std::move(profiled)) {}

 private:
  std::unique_ptr<Backend> owned_;
};

}  // namespace

std::vector<BackendKind> backend_kinds() {
  const auto exact = [] { return on_cpu(cpu::Isa::portable); };
  std::vector<BackendKind> kinds = {{"Exact", exact}};
  const std::pair<const char*, cpu::Isa> isas[] = {
      {"Avx2", cpu::Isa::avx2}, {"Avx512", cpu::Isa::avx512}, {"Amx", cpu::Isa::amx}};
  for (const auto& [name, isa] : isas)
    kinds.push_back({name, [isa = isa] { return on_cpu(isa); }, false, cpu::isa_available(isa)});
  kinds.push_back({"Deferred", [exact] { return std::make_unique<DeferredBackend>(exact()); }});
  kinds.push_back({"ProfiledDeferred", [exact] {
                     return std::make_unique<OwnedProfiledBackend>(
                         std::make_unique<DeferredBackend>(exact()));
                   }});
  const auto add = [&](const char* prefix, emulator::Vendor vendor, Precision precision) {
    kinds.push_back({.name = std::string(prefix) + emulator::name_of(vendor),
                     .make = [=] { return on_card(vendor, precision); },
                     .exact = false,
                     .emulated = true});
  };
  for (const auto vendor : emulator::kWarpSizes) add("Exact_", vendor, Precision::exact);
  for (const auto vendor : emulator::kVendors) add("Fast_", vendor, Precision::fast);
  return kinds;
}

}  // namespace potluck
