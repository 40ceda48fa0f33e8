// The flag that chooses the size of the demo's grids.
#pragma once

namespace CLI {
class App;
}

namespace potluck {

// --grid, 6 or 9; `size` holds the default.
void add_grid_flag(CLI::App* command, int& size);

}  // namespace potluck
