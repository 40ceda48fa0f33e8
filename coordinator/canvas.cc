// Draws ids by their address in the noise, and finds the end of a finished canvas.
#include "coordinator/canvas.h"

#include <algorithm>

#include "kernels/noise/philox.h"

namespace potluck {
namespace {

std::vector<int32_t> uniform_ids(const StepKey& key, noise::Purpose purpose, int length,
                                 int vocab) {
  std::vector<int32_t> ids(length);
  uint32_t position = 0;
  for (int32_t& id : ids) id = noise::uniform_below({key, position++, purpose, 0}, vocab);
  return ids;
}

}  // namespace

std::vector<int32_t> initial_canvas(const StepKey& key, int length, int vocab) {
  return uniform_ids(key, noise::Purpose::initial_canvas, length, vocab);
}

std::vector<int32_t> renoise_ids(const StepKey& key, int length, int vocab) {
  return uniform_ids(key, noise::Purpose::renoise, length, vocab);
}

int pad_after_end(std::vector<int32_t>& canvas, std::span<const int32_t> end_ids, int32_t pad_id) {
  const auto end = std::find_first_of(canvas.begin(), canvas.end(), end_ids.begin(), end_ids.end());
  if (end == canvas.end()) return -1;
  std::fill(end + 1, canvas.end(), pad_id);
  return end - canvas.begin();
}

std::span<const int32_t> without_end(std::span<const int32_t> ids,
                                     std::span<const int32_t> end_ids) {
  const bool ended =
      !ids.empty() && std::find(end_ids.begin(), end_ids.end(), ids.back()) != end_ids.end();
  return ids.first(ids.size() - (ended ? 1 : 0));
}

}  // namespace potluck
