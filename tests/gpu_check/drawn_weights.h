// Drawn weights: blocks of random bits with scales of a fitting size, so that values have a
// variance of about 1 / columns. Those of a check lie in the host's memory; those of a bench are
// made on the card while a backend loads them, and cost neither the host's time nor the bus.
#pragma once

#include <memory>

#include "backends/gpu/gpu_backend.h"
#include "topology/base/dtype.h"
#include "topology/model/model_source.h"

namespace potluck {

// In host memory; many of them repeat.
TensorBytes drawn_blocks(DType type, uint64_t bytes, int64_t columns, uint32_t seed);

// A tensor that is drawn on a card. Its bytes depend on all of this and on nothing else, so all
// cards make the same. Types are all but f32, iq1_m and mxfp4.
struct Drawn {
  DType type = DType::q8_0;
  int64_t columns = 1;
  uint64_t key = 0;
};

// Enqueues the drawing of bytes [first, first + bytes) of it to a place on the card. Both are even.
void draw_on_card(GpuDriver& driver, GpuStream stream, const Drawn& what, int64_t first,
                  size_t bytes, void* to);

// A tensor that has addresses on the host, but no bytes there: whoever reads it crashes. Any thread
// may call. Throws Fault{memory}.
TensorBytes drawn_on_card(const Drawn& what, uint64_t bytes);
// Draws, on this card, those of the blocks that come from drawn_on_card().
PutBlocks put_drawn(std::shared_ptr<GpuDriver> driver);

}  // namespace potluck
