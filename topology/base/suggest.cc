// Looks for the known name that is fewest slips away.
#include "topology/base/suggest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "topology/base/text.h"

namespace potluck {
namespace {

constexpr size_t kSlipsMax = 2;
constexpr size_t kWordMax = 64;  // longer words are nobody's slip

// Levenshtein's distance: letters to insert, delete or replace.
size_t slips(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string suggestion(std::string_view word, std::span<const std::string_view> known) {
  std::string_view nearest;
  size_t least = std::min(kSlipsMax, word.size() / 2) + 1;
  for (std::string_view name : known) {
    const size_t distance = word.size() <= kWordMax ? slips(word, name) : least;
    if (distance >= least) continue;
    least = distance;
    nearest = name;
  }
  if (!nearest.empty()) return "did you mean \"" + std::string(nearest) + "\"?";
  std::string all;
  for (std::string_view name : known) add_to_list(all, name);
  return (known.size() == 1 ? "there is only " : "there are ") + all;
}

}  // namespace potluck
