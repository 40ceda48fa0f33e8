// A plan.yaml: read, written, read again to the same plan, and judged for a model of 30 layers.
#include <string>

#include "tests/fuzz/refused.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/plan_yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace potluck;
  const std::string text(reinterpret_cast<const char*>(data), size);
  Plan plan;
  if (refused([&] { plan = parse_plan(text, "plan.yaml"); })) return 0;
  const std::string written = plan_yaml(plan);
  CHECK(plan_yaml(parse_plan(written, "written.yaml")) == written, written);
  ModelSpec spec;
  spec.layers.resize(30);
  spec.context_max = 1 << 18;
  refused([&] { validate(plan, spec); });
  return 0;
}
