// Rounds of links to measure: each pair of hosts once in each direction, no host twice in a round.
#pragma once

#include <utility>
#include <vector>

namespace potluck {

// By the circle method: 2·(n − 1) rounds for an even number of hosts, 2·n for an odd one.
std::vector<std::vector<std::pair<int, int>>> rounds_of(int hosts);

}  // namespace potluck
