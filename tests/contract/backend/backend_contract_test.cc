// Runs every check of the backend contract on every kind of backend that this machine has.
#include "tests/contract/backend/backend_contract.h"

#include <gtest/gtest.h>

#include <tuple>

namespace potluck {
namespace {

using KindAndCheck = std::tuple<BackendKind, BackendCheck>;

class BackendContract : public testing::TestWithParam<KindAndCheck> {};

TEST_P(BackendContract, Holds) {
  const auto& [kind, check] = GetParam();
  if (!kind.here) GTEST_SKIP() << kind.name << " is not on this machine";
  for (const std::string& finding : check.run(kind)) ADD_FAILURE() << finding;
}

INSTANTIATE_TEST_SUITE_P(Kinds, BackendContract,
                         testing::Combine(testing::ValuesIn(backend_kinds()),
                                          testing::ValuesIn(backend_checks())),
                         [](const auto& both) {
                           return std::get<0>(both.param).name + "_" + std::get<1>(both.param).name;
                         });

}  // namespace
}  // namespace potluck
