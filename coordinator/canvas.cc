#include "coordinator/canvas.h"

#include <algorithm>

#include "kernels/noise/philox.h"

namespace potluck {
namespace {

std::vector<int32_t> uniform_ids(const NoiseKey& key, cpu::NoiseCounter at, int length, int vocab) {
  std::vector<int32_t> ids(static_cast<size_t>(length));
  at.answer = key.answer;
  for (size_t i = 0; i < ids.size(); ++i) {
    at.position = static_cast<uint32_t>(i);
    ids[i] = static_cast<int32_t>(cpu::uniform_below(key.seed, at, static_cast<uint32_t>(vocab)));
  }
  return ids;
}

}  // namespace

std::vector<int32_t> initial_canvas(const NoiseKey& key, uint32_t canvas, int length, int vocab) {
  return uniform_ids(key, {.canvas = canvas, .purpose = cpu::Purpose::initial_canvas}, length,
                     vocab);
}

std::vector<int32_t> renoise_ids(const NoiseKey& key, uint32_t canvas, uint32_t step, int length,
                                 int vocab) {
  return uniform_ids(key, {.canvas = canvas, .step = step, .purpose = cpu::Purpose::renoise},
                     length, vocab);
}

int pad_after_end(std::vector<int32_t>& canvas, std::span<const int32_t> end_ids, int32_t pad_id) {
  const auto end = std::find_first_of(canvas.begin(), canvas.end(), end_ids.begin(), end_ids.end());
  if (end == canvas.end()) return -1;
  std::fill(end + 1, canvas.end(), pad_id);
  return static_cast<int>(end - canvas.begin());
}

std::span<const int32_t> without_end(std::span<const int32_t> ids,
                                     std::span<const int32_t> end_ids) {
  const bool ended =
      !ids.empty() && std::find(end_ids.begin(), end_ids.end(), ids.back()) != end_ids.end();
  return ids.first(ids.size() - (ended ? 1 : 0));
}

}  // namespace potluck
