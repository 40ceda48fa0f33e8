// The suite that holds every backend to its contract, on this card.
#include "backends/gpu/gpu_backend.h"
#include "tests/contract/backend/backend_contract.h"
#include "tests/gpu_check/check.h"
#include "tests/gpu_check/drawn_weights.h"
#include "tests/gpu_check/forwarding_driver.h"

namespace potluck {

std::unique_ptr<Backend> make_card_backend(const Check& check, Precision precision,
                                           bool use_graphs) {
  return std::make_unique<GpuBackend>(std::make_unique<ForwardingDriver>(check.driver),
                                      GpuOptions{.name = check.device,
                                                 .precision = precision,
                                                 .use_graphs = use_graphs,
                                                 .put_blocks = put_drawn(check.driver)});
}

void check_contract(Check& check) {
  for (const Precision precision : {Precision::exact, Precision::fast}) {
    const std::string name = precision == Precision::exact ? "exact" : "fast";
    const BackendKind kind{name, [&] { return make_card_backend(check, precision); }, false};
    int promises = 0, broken = 0;
    for (const BackendCheck& each : backend_checks()) {
      const Findings findings = each.run(kind);
      for (const std::string& finding : findings)
        check.report.fail("contract", name + ", " + each.name + ": " + finding);
      broken += !findings.empty();
      ++promises;
    }
    check.report.add("contract", name,
                     {{"promises", double(promises)}, {"broken", double(broken)}});
  }
}

}  // namespace potluck
