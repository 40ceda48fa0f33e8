// A plan over what is left of a ring: which of its workers take over the layers, and maybe the
// head, of those that are gone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "topology/model/model_source.h"
#include "topology/plan/plan.h"

namespace potluck {

// A worker that can be in the next plan. What is known of it was seen while it ran.
struct Candidate {
  WorkerPlan worker;        // as it was in a plan; the head's has no layers
  uint64_t bytes_free = 0;  // before it had loaded anything; 0: unknown, and whatever it needs
  double layer_ms = 0;      // of one layer in a step; 0: unknown
};

// A part that runs is moved only if it takes this share of its time at the other place, or less:
// one layer to a worker that has not loaded it, as well as a whole ring.
inline constexpr double kMovePays = 0.75;
inline bool move_pays(double ms_before, double ms) {
  return ms <= kMovePays * ms_before;
}
std::string must_save_text();  // "a move must save 25 %"
// "a step would take 6 ms with it, 6.2 ms without; a move must save 25 %"
std::string no_gain_text(const std::string& what, double ms_before, double ms);

// Why workers have no part in a plan, by worker.
using WhyNot = std::map<std::string, std::string>;

// A plan that is as `running` says but for who runs what. The candidates stand in ring order, and
// the head of `running` is its head again if it is among them; else one that may be. Of all cuts
// whose parts fit, that which is estimated fastest, with few layers moved. Throws Fault{memory} if
// there is none.
Plan remaining_plan(const ModelSource& source, const Plan& running,
                    const std::vector<Candidate>& candidates);

// The same, of candidates that have all of `running` and more; none if its steps would not become
// faster by kMovePays, as far as anybody has seen. Then it says why, of each that `running` lacks.
std::optional<Plan> faster_plan(const ModelSource& source, const Plan& running,
                                const std::vector<Candidate>& candidates, WhyNot& why_not);

}  // namespace potluck
