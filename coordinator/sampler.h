// Sampler: turns a step's candidates into the next canvas and decides when a canvas is done.
// The entropy bound sampler computes exactly what that of transformers does (shard/MODEL.md §6.1).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "topology/model/model_spec.h"
#include "transport/candidates.h"

namespace potluck {

struct StepDecision {
  std::vector<uint8_t> accepted;  // [C]
  std::vector<int32_t> next;      // [C] the next step's canvas; accepted: as drawn, else renoise
  double mean_entropy = 0;
  bool stop = false;  // commit the argmax canvas now
};

// An accepted position becomes a draw from the step's distribution, or its argmax (of equal logits
// the lowest id), as if the temperature of the draw were 0. The schedule of temperatures holds for
// the entropy and for self-conditioning either way.
enum class Draw { sample, argmax };

class Sampler {
 public:
  virtual ~Sampler() = default;
  // The temperature of step s (0-based): t_min + (t_max − t_min)·(S − s)/S.
  virtual double temperature(int step) const = 0;
  virtual int max_steps() const = 0;
  virtual void begin_canvas() = 0;
  // renoise: [C] fresh uniform ids, used where not accepted.
  virtual StepDecision decide(const Candidates& candidates, std::span<const int32_t> renoise) = 0;
};

// spec: as the file says, with the user's overrides (max_steps, t scaled by --temp). Throws
// Fault{input} for values that cannot work.
std::unique_ptr<Sampler> make_entropy_bound_sampler(const GenerationSpec& spec,
                                                    Draw draw = Draw::sample);

}  // namespace potluck
