// All checks of the contract, in the order in which a backend grows.
#include "tests/contract/backend/backend_contract.h"

namespace potluck {

std::vector<BackendCheck> backend_checks() {
  std::vector<BackendCheck> checks;
  for (const auto& some :
       {memory_checks(), row_checks(), product_checks(), attention_checks(), head_checks()})
    checks.insert(checks.end(), some.begin(), some.end());
  return checks;
}

}  // namespace potluck
