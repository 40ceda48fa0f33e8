// Configures the tiles of the processor for a thread.
#pragma once

#include <cstdint>

namespace potluck::cpu::amx {

// Tiles 0 to 3: sums, [height][16]; 4 and 5: `height` rows of x; 6 and 7: 16 columns of W. A step
// takes `row_bytes` of each row of x, and of W as many values, 4 bytes of each column a tile row.
// A thread's tiles stay as they are until it asks for others, which takes about 50 ns.
void configure_tiles(int64_t height, int row_bytes);

}  // namespace potluck::cpu::amx
