#include "topology/plan/plan.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr int kContextMax = 1 << 20;
constexpr int kSessionsMax = 1024;
constexpr int kSlotsMax = 256;

void check_number(const std::string& name, int value, int least, int most) {
  if (value < least || value > most)
    throw Fault(FaultKind::input, name + " is " + std::to_string(value) + "; it must be " +
                                      std::to_string(least) + " to " + std::to_string(most));
}

void check_layers(const Plan& plan, int layers) {
  int next = 0;
  for (const WorkerPlan& stage : plan.stages) {
    const LayerRange r = stage.layers;
    const std::string who = "stage \"" + stage.name + "\" has layers " + range_text(r);
    if (r.begin < 0 || r.end <= r.begin || r.end > layers)
      throw Fault(FaultKind::input, who + "; the model has layers 0:" + std::to_string(layers));
    if (r.begin > next)
      throw Fault(FaultKind::input, who + ", so nobody runs " + range_text({next, r.begin}) +
                                        "; let it begin at " + std::to_string(next));
    if (r.begin < next)
      throw Fault(FaultKind::input, who + ", but layers before " + std::to_string(next) +
                                        " belong to an earlier stage; let it begin at " +
                                        std::to_string(next));
    next = r.end;
  }
  if (next != layers)
    throw Fault(FaultKind::input, "nobody runs layers " + range_text({next, layers}) +
                                      "; add a stage, or let \"" + plan.stages.back().name +
                                      "\" end at " + std::to_string(layers));
}

// "cpu", "cuda:N" or "hip:N".
bool is_device(const std::string& device) {
  const size_t colon = device.find(':');
  const std::string kind = device.substr(0, colon);
  if (colon == std::string::npos) return kind == "cpu";
  const std::string index = device.substr(colon + 1);
  const bool number = !index.empty() && index.size() <= 3 &&
                      index.find_first_not_of("0123456789") == std::string::npos;
  return number && (kind == "cuda" || kind == "hip");
}

void check_worker(const WorkerPlan& worker, DType stream, std::set<std::string>& names,
                  std::set<std::string>& endpoints) {
  if (worker.name.empty() || !names.insert(worker.name).second)
    throw Fault(FaultKind::input,
                "the worker name \"" + worker.name + "\" is empty or stands twice");
  if (!worker.endpoint.empty() && !endpoints.insert(worker.endpoint).second)
    throw Fault(FaultKind::input, "worker \"" + worker.name + "\" has endpoint " + worker.endpoint +
                                      ", which another has too; one worker listens on each");
  if (worker.hop != stream && worker.hop != DType::q8_0)
    throw Fault(FaultKind::input, "worker \"" + worker.name + "\" has hop " +
                                      dtype_name(worker.hop) + "; it can be the stream's " +
                                      dtype_name(stream) + ", or int8");
  if (!is_device(worker.device))
    throw Fault(FaultKind::input, "worker \"" + worker.name + "\" has device \"" + worker.device +
                                      "\"; it can be cpu, cuda:N or hip:N");
  check_number("the threads of worker \"" + worker.name + "\"", worker.threads, 0, kThreadsMax);
}

// The least possible largest sum of `parts` consecutive groups; each group at least one layer.
std::vector<int> split_evenly(const std::vector<uint64_t>& bytes, int parts) {
  const int n = static_cast<int>(bytes.size());
  std::vector<uint64_t> sum(bytes.size() + 1, 0);
  std::partial_sum(bytes.begin(), bytes.end(), sum.begin() + 1);
  constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  std::vector<std::vector<uint64_t>> best(parts + 1, std::vector<uint64_t>(n + 1, kNever));
  std::vector<std::vector<int>> cut(parts + 1, std::vector<int>(n + 1, 0));
  best[0][0] = 0;
  for (int p = 1; p <= parts; ++p)
    for (int end = p; end <= n; ++end)
      for (int begin = p - 1; begin < end; ++begin) {
        if (best[p - 1][begin] == kNever) continue;
        const uint64_t worst = std::max(best[p - 1][begin], sum[end] - sum[begin]);
        if (worst < best[p][end]) {
          best[p][end] = worst;
          cut[p][end] = begin;
        }
      }
  std::vector<int> counts;
  for (int p = parts, end = n; p > 0; end = cut[p][end], --p) counts.push_back(end - cut[p][end]);
  std::reverse(counts.begin(), counts.end());
  return counts;
}

}  // namespace

std::string range_text(LayerRange range) {
  return std::to_string(range.begin) + ":" + std::to_string(range.end);
}

const WorkerPlan& Plan::worker(PeerId peer) const {
  if (peer == kHeadPeer) return head;
  CHECK(peer >= stage_peer(0) && peer < stage_peer(stage_count()), peer);
  return stages[static_cast<size_t>(peer - stage_peer(0))];
}

std::string Plan::name_of(PeerId peer) const {
  return peer == kCoordinatorPeer ? "coordinator" : worker(peer).name;
}

void validate(const Plan& plan, const ModelSpec& spec) {
  check_number("the number of stages", plan.stage_count(), 1, kMaxStages);
  check_number("context", plan.ctx_size, 1, std::min(kContextMax, spec.context_max));
  check_number("chunk", plan.chunk, 1, kContextMax);
  check_number("sessions", plan.sessions, 1, kSessionsMax);
  check_number("slots", plan.slots, 1, kSlotsMax);
  if (plan.stream != DType::bf16 && plan.stream != DType::f32)
    throw Fault(FaultKind::input,
                std::string("stream can be bf16 or f32, not ") + dtype_name(plan.stream));
  if (plan.kv != DType::f16 && plan.kv != DType::bf16 && plan.kv != DType::f32)
    throw Fault(FaultKind::input,
                std::string("kv can be f16, bf16 or f32, not ") + dtype_name(plan.kv));
  std::set<std::string> names, endpoints;
  check_worker(plan.head, plan.stream, names, endpoints);
  for (const WorkerPlan& stage : plan.stages) check_worker(stage, plan.stream, names, endpoints);
  check_layers(plan, spec.layer_count());
}

Plan plan_local(const ModelSpec& spec, const std::vector<uint64_t>& layer_bytes, int stages,
                const std::vector<int>& split) {
  const int layers = spec.layer_count();
  const int total = std::accumulate(split.begin(), split.end(), 0);
  if (!split.empty() && total != layers)
    throw Fault(FaultKind::input, "the split adds up to " + std::to_string(total) + " layers",
                Fix{"it must have the model's " + std::to_string(layers), Setting::split});
  if (split.empty() && (stages < 1 || stages > layers))
    throw Fault(FaultKind::input,
                "a model of " + std::to_string(layers) + " layers cannot be cut into " +
                    std::to_string(stages) + " stages",
                Fix{"there must be 1 to " + std::to_string(layers), Setting::stages});
  Plan plan;
  plan.head.name = "head";
  plan.head.local = true;
  plan.ctx_size = std::min(plan.ctx_size, spec.context_max);
  int begin = 0;
  for (int count : split.empty() ? split_evenly(layer_bytes, stages) : split) {
    WorkerPlan stage;
    stage.name = "stage " + std::to_string(plan.stage_count());
    stage.layers = {begin, begin + count};
    stage.local = true;
    begin += count;
    plan.stages.push_back(stage);
  }
  return plan;
}

}  // namespace potluck
