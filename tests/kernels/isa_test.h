// A test for each instruction set of the fast kernels; skipped by name where the machine lacks it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "kernels/cpu/packed/available.h"

namespace potluck::cpu {

class IsaTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!isa_available(GetParam()))
      GTEST_SKIP() << isa_name(GetParam()) << " is not on this machine";
  }
};

#define POTLUCK_FOR_EACH_ISA(suite)                                                        \
  INSTANTIATE_TEST_SUITE_P(Isas, suite, testing::Values(Isa::amx, Isa::avx512, Isa::avx2), \
                           [](const auto& isa) { return std::string(isa_name(isa.param)); })

}  // namespace potluck::cpu
