// Whole steps by graphs and without, encoding of a canvas and of a prompt, on the wall's clock; and
// the same bits each time.
#include <algorithm>
#include <functional>
#include <optional>
#include <string>

#include "tests/gpu_check/check.h"
#include "tests/gpu_check/step.h"
#include "topology/base/clock.h"

namespace potluck {
namespace {

struct Variant {
  Mix mix;
  bool use_graphs;
  bool with_zipf;

  std::string name(Routing routing) const {
    return std::string(mix == Mix::q8_0 ? "Q8_0" : "Q4_K_M") +
           (routing == Routing::zipf ? " zipf" : " uniform") + (use_graphs ? "" : ", no graph");
  }
};

// The median of some runs.
double milliseconds_of(int runs, const std::function<void()>& run) {
  std::vector<double> taken;
  for (int i = 0; i < runs; ++i) {
    const Time begin = now();
    run();
    taken.push_back(milliseconds(now() - begin));
  }
  std::nth_element(taken.begin(), taken.begin() + runs / 2, taken.end());
  return taken[runs / 2];
}

// The digest of a step, which the same step must have again.
uint64_t digest_of_steps(Check& check, const std::string& name, CardStep& step) {
  step.denoise();
  const std::optional<uint64_t> first = step.digest_of_last();
  if (!first) check.report.fail("steps", name + ": a step's results are not finite");
  for (int i = 0; i < 2; ++i) {
    step.denoise();
    if (step.digest_of_last() == first) continue;
    check.report.fail("steps", name + ": the same step has other bits when it runs again");
    break;
  }
  return first.value_or(0);
}

// Returns the digest of a step; 0 if there is none.
uint64_t time_routing(Check& check, const std::string& name, const StepModel& model,
                      CardStep& step) {
  const int runs = check.tiny() ? 1 : check.options.quick ? 5 : 20;
  step.encode_prompt();
  const double prompt_ms = milliseconds_of(check.tiny() ? 1 : 3, [&] { step.encode_prompt(); });
  const uint64_t digest = digest_of_steps(check, name, step);
  const double step_ms = milliseconds_of(runs, [&] { step.denoise(); });
  const double encode_ms = milliseconds_of(runs, [&] { step.encode_canvas(); });
  check.report.add("steps", name,
                   {{"layers", double(model.layers)},
                    {"of", double(model.layers_wanted)},
                    {"step_ms", step_ms},
                    {"encode_ms", encode_ms},
                    {"prompt_tok_s", step.prompt() / prompt_ms * 1e3}});
  return digest;
}

uint64_t bench_variant(Check& check, const Variant& v) {
  if (!check.has_time("steps", v.name(Routing::uniform))) return 0;
  const StepModel model = step_model(check, v.mix, check.driver->facts().bytes_free);
  if (!model.source) {
    check.report.fail("steps", v.name(Routing::uniform) + ": no layer fits the card");
    return 0;
  }
  RoutedBackend backend(make_card_backend(check, Precision::fast, v.use_graphs),
                        model.source->spec(), check.options.seed);
  const Time begin = now();
  CardStep step(*model.source, backend, check.tiny() ? 20 : 2048, Precision::fast);
  backend.wait();
  check.report.add("loads", v.name(Routing::uniform), {{"s", seconds(now() - begin)}});
  const uint64_t digest = time_routing(check, v.name(Routing::uniform), model, step);
  if (!v.with_zipf || !check.has_time("steps", v.name(Routing::zipf))) return digest;
  backend.choose(Routing::zipf);
  time_routing(check, v.name(Routing::zipf), model, step);
  return digest;
}

}  // namespace

void bench_steps(Check& check) {
  const bool all = !check.options.quick && !check.tiny();
  const uint64_t by_graph = bench_variant(check, {Mix::q8_0, true, all});
  bench_variant(check, {Mix::q4_k_m, true, all});
  if (check.options.quick) return;
  const uint64_t without = bench_variant(check, {Mix::q8_0, false, false});
  if (without && by_graph && without != by_graph)
    check.report.fail("steps", "a step has other bits without a graph");
}

}  // namespace potluck
