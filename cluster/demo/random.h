// Draws that are the same on every machine: the standard fixes mt19937_64, but neither its
// distributions nor the order of std::shuffle.
#pragma once

#include <cstdint>
#include <random>
#include <utility>

namespace potluck {

// A whole number in [least, most]. Of a range n wide, the remainder favours no number by more than
// n in 2⁶⁴.
inline int random_between(int least, int most, std::mt19937_64& random) {
  return least + (random() % (most - least + 1));
}

// Fisher and Yates' shuffle.
template <typename Items>
void shuffle(Items& items, std::mt19937_64& random) {
  for (int last = items.size() - 1; last > 0; --last)
    std::swap(items[last], items[random_between(0, last, random)]);
}

}  // namespace potluck
