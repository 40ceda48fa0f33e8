// Tries every worker as the head, and finds the best cut of the layers by dynamic programming.
#include "topology/plan/remaining_plan.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

constexpr double kImpossible = std::numeric_limits<double>::infinity();

struct Cut {
  double ms = kImpossible;  // of a step, with what moving is worth
  std::vector<int> ends;    // of each stage's layers, in the candidates' order
};

// It has so much free, and the plan grants it so much: the lesser counts; 0: neither is known.
uint64_t most_bytes(const Candidate& candidate) {
  const uint64_t granted = candidate.worker.memory_bytes;
  if (granted == 0 || candidate.bytes_free == 0) return std::max(granted, candidate.bytes_free);
  return std::min(granted, candidate.bytes_free);
}

bool has_room(const Candidate& candidate, const MemoryNeed& need) {
  const uint64_t most = most_bytes(candidate);
  return most == 0 || need.total() <= most;
}

MemoryNeed need_of(const ModelSource& source, const Plan& running, const WorkerPlan& worker,
                   LayerRange layers) {
  Plan plan = running;
  plan.stages.assign(1, worker);
  plan.stages[0].layers = layers;
  return stage_need(source, plan, 0);
}

bool can_be_head(const ModelSource& source, const Plan& running, const Candidate& candidate) {
  Plan plan = running;
  plan.head.device = candidate.worker.device;
  plan.head.threads = candidate.worker.threads;
  return has_room(candidate, head_need(source, plan));
}

// A speed that nobody has seen is taken to be as those of the others.
double layer_ms_of(const Candidate& candidate, const std::vector<Candidate>& candidates) {
  if (candidate.layer_ms > 0) return candidate.layer_ms;
  double sum = 0;
  int seen = 0;
  for (const Candidate& each : candidates)
    if (each.layer_ms > 0) sum += each.layer_ms, ++seen;
  return seen ? sum / seen : 1;
}

// Where the largest part that fits a worker ends, by its first layer. A need only grows with
// the layers, so the next part ends no sooner, and each layer is tried as an end about twice.
std::vector<int> largest_parts(const ModelSource& source, const Plan& running,
                               const Candidate& candidate) {
  const int layers = source.spec().layer_count();
  std::vector<int> ends(layers + 1, layers);
  for (int begin = 0, end = 0; begin < layers; ++begin) {
    end = std::max(end, begin);
    while (end < layers &&
           has_room(candidate, need_of(source, running, candidate.worker, {begin, end + 1})))
      ++end;
    ends[begin] = end;
  }
  return ends;
}

// A worker that may be a stage.
struct Stage {
  WorkerPlan worker;
  double layer_ms = 0;
  std::vector<int> largest_parts;
};

// best[s][l]: the first s stages have the first l layers.
Cut best_cut(const std::vector<Stage>& stages) {
  const size_t count = stages.size(), layers = stages[0].largest_parts.size() - 1;
  std::vector<std::vector<double>> best(count + 1, std::vector<double>(layers + 1, kImpossible));
  std::vector<std::vector<int>> from(count + 1, std::vector<int>(layers + 1, 0));
  best[0][0] = 0;
  for (size_t s = 0; s < count; ++s) {
    const double ms = stages[s].layer_ms;
    for (int begin = 0; begin <= static_cast<int>(layers); ++begin) {
      double cost = best[s][begin];
      if (cost == kImpossible) continue;
      for (int end = begin; end <= stages[s].largest_parts[begin]; ++end) {
        if (cost < best[s + 1][end]) best[s + 1][end] = cost, from[s + 1][end] = begin;
        cost += stages[s].worker.layers.contains(end) ? ms : ms / kMovePays;
      }
    }
  }
  Cut cut{best[count][layers], std::vector<int>(count)};
  for (size_t s = count, end = layers; s > 0; end = from[s][end], --s)
    cut.ends[s - 1] = static_cast<int>(end);
  return cut;
}

struct Choice {
  double ms = kImpossible;
  Plan plan;
};

bool are_neighbours(const Plan& plan, const std::string& one, const std::string& next) {
  for (PeerId peer = kHeadPeer; peer < stage_peer(plan.stage_count()); ++peer)
    if (plan.worker(peer).name == one) return plan.next_of(peer).name == next;
  return false;
}

// Two cards that had no link by NCCL before are given none.
void keep_card_links(const Plan& before, Plan& plan) {
  const auto keep = [&](PeerId peer, WorkerPlan& worker) {
    worker.by_nccl = worker.by_nccl && are_neighbours(before, worker.name, plan.next_of(peer).name);
  };
  keep(kHeadPeer, plan.head);
  for (int i = 0; i < plan.stage_count(); ++i) keep(stage_peer(i), plan.stages[i]);
}

Choice with_head(const ModelSource& source, const Plan& running, const Candidate& head,
                 std::vector<Stage> stages) {
  std::erase_if(stages, [&](const Stage& each) { return each.worker.name == head.worker.name; });
  if (stages.empty() || !can_be_head(source, running, head)) return {};
  const Cut cut = best_cut(stages);
  if (cut.ms == kImpossible) return {};
  Choice choice{cut.ms, running};
  choice.plan.head = head.worker;
  choice.plan.head.layers = {};
  choice.plan.stages.clear();
  for (size_t i = 0, begin = 0; i < stages.size(); begin = cut.ends[i++]) {
    if (cut.ends[i] == static_cast<int>(begin)) continue;
    choice.plan.stages.push_back(stages[i].worker);
    choice.plan.stages.back().layers = {static_cast<int>(begin), cut.ends[i]};
  }
  keep_card_links(running, choice.plan);
  return choice;
}

Choice best_choice(const ModelSource& source, const Plan& running,
                   const std::vector<Candidate>& candidates) {
  std::vector<Stage> stages;
  for (const Candidate& each : candidates)
    stages.push_back(
        {each.worker, layer_ms_of(each, candidates), largest_parts(source, running, each)});
  for (const Candidate& each : candidates)
    if (each.worker.name == running.head.name) return with_head(source, running, each, stages);
  Choice best;
  for (const Candidate& each : candidates) {
    if (!each.worker.may_be_head) continue;
    if (Choice choice = with_head(source, running, each, stages); choice.ms < best.ms)
      best = std::move(choice);
  }
  return best;
}

std::string names_of(const std::vector<Candidate>& candidates) {
  std::string names;
  for (const Candidate& each : candidates) {
    names += (names.empty() ? "" : ", ") + each.worker.name;
    if (most_bytes(each)) names += " (" + bytes_text(most_bytes(each)) + ")";
  }
  return names;
}

bool has_head(const Plan& running, const std::vector<Candidate>& candidates) {
  return std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& each) {
    return each.worker.may_be_head || each.worker.name == running.head.name;
  });
}

double ms_of(const Plan& plan, const std::vector<Candidate>& candidates) {
  double ms = 0;
  for (const WorkerPlan& stage : plan.stages)
    for (const Candidate& each : candidates)
      if (each.worker.name == stage.name) ms += stage.layers.size() * layer_ms_of(each, candidates);
  return ms;
}

std::string ms_text(double ms) {
  char text[32];
  std::snprintf(text, sizeof(text), ms < 1000 ? "%.3g ms" : "%.0f ms", ms);
  return text;
}

// Explains why a candidate is left out where the ring does not move to the best plan.
std::string why_no_part(const ModelSource& source, const Plan& running, const Candidate& candidate,
                        const std::vector<Candidate>& candidates, const Choice& best) {
  const auto is_unknown = [&](const Candidate& each) {
    return each.layer_ms == 0 &&
           running.peer_named(each.worker.name).value_or(kHeadPeer) > kHeadPeer;
  };
  const std::vector<int> parts = largest_parts(source, running, candidate);
  bool fits_one = false;
  for (size_t begin = 0; begin < parts.size() - 1; ++begin)
    fits_one = fits_one || parts[begin] > static_cast<int>(begin);
  if (!fits_one) return "no layer fits in its " + bytes_text(most_bytes(candidate));
  if (best.ms == kImpossible) return "no plan with it fits";
  if (std::any_of(candidates.begin(), candidates.end(), is_unknown))
    return "the ring's speed is not known before its first step";
  if (candidate.layer_ms == 0) return "its speed is not known yet";
  const double before = ms_of(running, candidates);
  if (best.plan.peer_named(candidate.worker.name))
    return no_gain_text("the layers of a step", before, ms_of(best.plan, candidates));
  return "a layer takes " + ms_text(candidate.layer_ms) + " there, " +
         ms_text(before / source.spec().layer_count()) + " in the ring; " + must_save_text();
}

}  // namespace

std::string must_save_text() {
  return "a move must save " + std::to_string(static_cast<int>(100 * (1 - kMovePays))) + " %";
}

std::string no_gain_text(const std::string& what, double ms_before, double ms) {
  return what + " would take " + ms_text(ms) + " with it, " + ms_text(ms_before) + " without; " +
         must_save_text();
}

Plan remaining_plan(const ModelSource& source, const Plan& running,
                    const std::vector<Candidate>& candidates) {
  Choice best = best_choice(source, running, candidates);
  if (best.ms < kImpossible) return best.plan;
  if (candidates.size() < 2)
    throw Fault(FaultKind::memory, "a ring needs two workers, and " +
                                       (candidates.empty() ? "none" : candidates[0].worker.name) +
                                       " is left");
  if (!has_head(running, candidates))
    throw Fault(FaultKind::memory,
                "the head sees prompts and answers, and none that is left may be it: " +
                    names_of(candidates),
                Fix{"bring back a machine of your own that may be the head"});
  throw Fault(FaultKind::memory, "the model does not fit what is left: " + names_of(candidates),
              Fix{"add a worker, or take a smaller file of the model"});
}

std::optional<Plan> faster_plan(const ModelSource& source, const Plan& running,
                                const std::vector<Candidate>& candidates, WhyNot& why_not) {
  const Choice best = best_choice(source, running, candidates);
  if (best.ms < kImpossible && move_pays(ms_of(running, candidates), ms_of(best.plan, candidates)))
    return best.plan;
  for (const Candidate& each : candidates)
    if (!running.peer_named(each.worker.name))
      why_not[each.worker.name] = why_no_part(source, running, each, candidates, best);
  return std::nullopt;
}

}  // namespace potluck
