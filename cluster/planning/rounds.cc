// One host stays in its place, and the others go round it.
#include "cluster/planning/rounds.h"

namespace potluck {

std::vector<std::vector<std::pair<int, int>>> rounds_of(int hosts) {
  std::vector<std::vector<std::pair<int, int>>> rounds;
  const int places = hosts + hosts % 2;
  for (int turn = 0; turn + 1 < places; ++turn) {
    std::vector<std::pair<int, int>> there, back;
    for (int i = 0; i < places / 2; ++i) {
      const auto at = [&](int place) {
        return place == 0 ? 0 : 1 + (place - 1 + turn) % (places - 1);
      };
      const int a = at(i), b = at(places - 1 - i);
      if (a >= hosts || b >= hosts) continue;
      there.push_back({a, b});
      back.push_back({b, a});
    }
    rounds.push_back(there);
    rounds.push_back(back);
  }
  return rounds;
}

}  // namespace potluck
