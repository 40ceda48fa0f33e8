// Whether the ids that a step chose follow from recorded logits: the argmax, and the sample that a
// race between tiles and a pick inside the winner draw (kernels/cpu/reference/vocab_attention.h).
//
// Logits that are off by no more than `off` may choose another id where the choice is nearly a tie;
// how near follows from `off` alone.
#pragma once

#include <cstdint>
#include <span>

#include "topology/base/step_key.h"

namespace potluck {

struct DrawnRow {
  std::span<const float> logits;  // [V], after the soft cap
  double inverse_temperature = 1;
  StepKey key;
  int position = 0;  // of the row in its canvas
};

// The id that the row's logits draw, by sums in f64.
int32_t drawn_id(const DrawnRow& row);

// Whether logits that differ from the row's by at most `off` each can draw this id.
bool can_be_drawn(const DrawnRow& row, int32_t id, double off);

// Whether such logits can have their greatest at this id.
bool can_be_greatest(const DrawnRow& row, int32_t id, double off);

// Many rows came to this.
struct DrawnIds {
  int chosen = 0;       // argmax and sample of each row
  int differ = 0;       // from what the recorded logits choose
  int unexplained = 0;  // of these: no tie
};

// `off` is how far the logits that chose these ids are from the row's at most.
void add_row(const DrawnRow& row, int32_t argmax, int32_t sample, double off, DrawnIds& ids);

}  // namespace potluck
