// Folds one row's logits of one tile into its results, for the reference and the fast vocabulary
// attention alike.
#pragma once

#include <cstdint>

#include "kernels/cpu/reference/vocab_attention.h"

namespace potluck::cpu {

void start_rows(int64_t rows, VocabPartial* partial);

using Exps = void (*)(float* x, int64_t n, float shift);  // x[i] = exp(x[i] − shift)

// A row's soft-capped logits of ids [first_id, first_id + ids), ids ≤ kSampleTile.
struct LogitTile {
  int64_t first_id, ids;
  float* z;
  Exps exps;
};

// Folds a tile into a row's running sums, its argmax and its race. Afterwards z holds the weights
// e^(z/t − max). Returns the factor for the row's weighted sums so far, since max may have risen.
float fold_tile(const VocabRequest& request, int64_t row, const LogitTile& tile,
                VocabPartial& partial);

}  // namespace potluck::cpu
