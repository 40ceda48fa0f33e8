// Adds up what local workers need.
#include "cluster/ring/local_memory.h"

#include <algorithm>
#include <string>
#include <thread>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

bool takes_memory_here(const WorkerPlan& worker) {
  return worker.local && worker.device == "cpu";
}

}  // namespace

void check_local_memory(const ModelSource& source, Plan plan, int threads, uint64_t free) {
  const int usual = threads ? threads : std::max(1u, std::thread::hardware_concurrency());
  if (!plan.head.threads) plan.head.threads = usual;
  for (WorkerPlan& stage : plan.stages)
    if (!stage.threads) stage.threads = usual;
  uint64_t sum = 0;
  std::string parts;
  const auto add = [&](const WorkerPlan& worker, const MemoryNeed& need) {
    if (need.total() > free) throw memory_refusal(worker, need, free).at(worker.name);
    sum += need.total();
    parts += (parts.empty() ? "" : " + ") + worker.name + " " + bytes_text(need.total());
  };
  if (takes_memory_here(plan.head)) add(plan.head, head_need(source, plan));
  for (int i = 0; i < plan.stage_count(); ++i)
    if (takes_memory_here(plan.stages[i])) add(plan.stages[i], stage_need(source, plan, i));
  if (sum <= free) return;
  throw Fault(FaultKind::memory,
              "the workers that start here need " + bytes_text(sum) + " together (" + parts +
                  "), and this machine has " + bytes_text(free) + " free",
              Fix{"run stages on other machines, take a smaller file of the model, or a smaller "
                  "context",
                  Setting::context});
}

}  // namespace potluck
