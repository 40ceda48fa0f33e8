// Blocks are kept for the next time; a request goes to the first that has room.
#include "backends/gpu/pinned_arena.h"

#include <algorithm>

namespace potluck {
namespace {

constexpr size_t kBlockBytes = 4 << 20;
constexpr size_t kAlignment = 256;

}  // namespace

PinnedArena::~PinnedArena() {
  for (const Block& block : blocks_) driver_.free_host(block.data);
}

std::byte* PinnedArena::take(size_t bytes) {
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  auto block = std::find_if(blocks_.begin(), blocks_.end(),
                            [rounded](const Block& b) { return b.bytes - b.used >= rounded; });
  if (block == blocks_.end()) {
    const size_t fresh = std::max(rounded, kBlockBytes);
    blocks_.push_back({static_cast<std::byte*>(driver_.allocate_host(fresh)), fresh, 0});
    block = blocks_.end() - 1;
  }
  std::byte* taken = block->data + block->used;
  block->used += rounded;
  used_ += rounded;
  return taken;
}

void PinnedArena::reset() {
  for (Block& block : blocks_) block.used = 0;
  used_ = 0;
}

}  // namespace potluck
