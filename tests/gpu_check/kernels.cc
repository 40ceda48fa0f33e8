// A denoise step of the released model's shape, an operation at a time: what each part's kernels
// take, and what share that is of the memory rate and of the peaks measured on this card.
#include <cstdio>
#include <string>

#include "backends/gpu/gpu_backend.h"
#include "tests/gpu_check/check.h"
#include "tests/gpu_check/drawn_weights.h"
#include "tests/gpu_check/part_timer.h"
#include "tests/gpu_check/step.h"

namespace potluck {
namespace {

constexpr double kMilli = 1e3, kGiga = 1e-9;

double operations_of(const PartWork& work) {
  double sum = 0;
  for (const auto& [product, count] : work.operations) sum += count;
  return sum;
}

void add_part(Check& check, const std::string& name, const PartCost& cost, int steps) {
  const Roof& roof = roof_of(check);
  const double seconds = cost.seconds() / steps;
  const double bytes = (cost.work.stored_bytes + cost.work.memory_bytes) / steps;
  const double operations = operations_of(cost.work) / steps;
  check.report.add("parts", name,
                   {{"ms", seconds * kMilli},
                    {"gb", bytes * kGiga},
                    {"gflop", operations * kGiga},
                    {"gb_per_s", bytes / seconds * kGiga},
                    {"of_read", bytes / seconds / roof.read},
                    {"of_copy", bytes / seconds / roof.copy},
                    {"of_f16", operations / seconds / roof.f16},
                    {"of_s8", operations / seconds / roof.s8}});
}

void add_kernels(Check& check, const std::string& name, const PartCost& cost, int steps) {
  for (size_t k = 0; k < cost.kernels.size(); ++k) {
    const KernelTime& time = cost.kernels[k];
    if (time.launches == 0) continue;
    check.report.add("part's kernels", name + ": " + gpu::kKernels[k].name,
                     {{"ms", time.seconds / steps * kMilli},
                      {"launches", double(time.launches) / steps},
                      {"us_each", time.seconds / time.launches * 1e6}});
  }
}

void report_cost(Check& check, const std::string& name, const StepCost& cost, int steps) {
  for (size_t part = 0; part < cost.size(); ++part)
    if (cost[part].seconds() > 0)
      add_part(check, name + ": " + part_name(static_cast<Part>(part)), cost[part], steps);
  for (size_t part = 0; part < cost.size(); ++part)
    add_kernels(check, name + ": " + part_name(static_cast<Part>(part)), cost[part], steps);
}

void bench_mix(Check& check, Mix mix) {
  const std::string name = mix == Mix::q8_0 ? "Q8_0" : "Q4_K_M";
  if (!check.has_time("kernels", name)) return;
  const StepModel model = step_model(check, mix, check.driver->facts().bytes_free);
  if (!model.source) return check.report.fail("kernels", name + ": no layer fits the card");
  auto own = std::make_unique<TimedDriver>(check.driver);
  TimedDriver& driver = *own;
  GpuBackend card(std::move(own), {.name = check.device,
                                   .precision = Precision::fast,
                                   .use_graphs = false,
                                   .put_blocks = put_drawn(check.driver)});
  auto timer = std::make_unique<PartTimer>(card, driver);
  PartTimer& parts = *timer;
  RoutedBackend routed(std::move(timer), model.source->spec(), check.options.seed);
  CardStep step(*model.source, routed, check.tiny() ? 20 : 2048, Precision::fast);
  step.encode_prompt();
  const bool few = check.tiny() || check.options.quick;
  for (const Routing routing : {Routing::uniform, Routing::zipf}) {
    if (routing == Routing::zipf && (few || !check.has_time("kernels", name + " zipf"))) continue;
    routed.choose(routing);
    step.denoise();
    parts.take();
    const int steps = few ? 1 : 3;
    for (int i = 0; i < steps; ++i) step.denoise();
    report_cost(
        check,
        name + (routing == Routing::zipf ? " zipf x" : " uniform x") + std::to_string(model.layers),
        parts.take(), steps);
  }
}

}  // namespace

void bench_kernels(Check& check) {
  for (const Mix mix : {Mix::q8_0, Mix::q4_k_m}) bench_mix(check, mix);
}

}  // namespace potluck
