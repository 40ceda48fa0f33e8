// A pass is known again by its bytes: the kernels, their grids and their operands.
#include "backends/gpu/launch_list.h"

#include <algorithm>
#include <cstring>

#include "topology/base/check.h"

namespace potluck {
namespace {

// So many passes are kept. A stage has one for canvases, and one for each number of rows that it
// has encoded of late; a head has four for each session, whose two soft embeddings take turns.
constexpr size_t kPassesKept = 128;
constexpr int64_t kGridMost = INT32_MAX, kGridYMost = 65535;

// Operands take a multiple of eight bytes in a pass.
size_t padded(size_t bytes) {
  return (bytes + 7) / 8 * 8;
}

}  // namespace

LaunchList::~LaunchList() {
  for (const Known& known : known_)
    if (known.graph.handle) driver_.free_graph(known.graph);
}

void LaunchList::add(gpu::Kernel kernel, int64_t grid_x, int64_t grid_y, const void* operands) {
  CHECK(grid_x >= 1 && grid_x <= kGridMost && grid_y >= 1 && grid_y <= kGridYMost, grid_x, grid_y);
  const int32_t bytes = gpu::kKernels[static_cast<size_t>(kernel)].operand_bytes;
  const Entry entry{kernel, static_cast<int32_t>(grid_x), static_cast<int32_t>(grid_y), bytes};
  const size_t at = pass_.size();
  pass_.resize(at + sizeof(entry) + padded(bytes));
  std::memcpy(pass_.data() + at, &entry, sizeof(entry));
  std::memcpy(pass_.data() + at + sizeof(entry), operands, bytes);
}

// Entries and operands are whole words; one that only looks like an address does no harm.
bool LaunchList::touches(const void* memory, size_t bytes) const {
  const auto first = reinterpret_cast<uintptr_t>(memory);
  for (size_t at = 0; at < pass_.size(); at += sizeof(uintptr_t)) {
    uintptr_t word;
    std::memcpy(&word, pass_.data() + at, sizeof(word));
    if (word - first < bytes) return true;
  }
  return false;
}

void LaunchList::enqueue() const {
  for (size_t at = 0; at < running_.size();) {
    Entry entry;
    std::memcpy(&entry, running_.data() + at, sizeof(entry));
    at += sizeof(entry);
    const Range operation(ranges_, gpu::kKernels[static_cast<size_t>(entry.kernel)].name);
    driver_.launch({entry.kernel, entry.grid_x, entry.grid_y, running_.data() + at}, stream_);
    at += padded(entry.operand_bytes);
  }
}

LaunchList::Known* LaunchList::find() {
  const auto found = std::find_if(known_.begin(), known_.end(),
                                  [&](const Known& k) { return k.pass == running_; });
  if (found == known_.end()) return nullptr;
  known_.splice(known_.begin(), known_, found);
  return &known_.front();
}

void LaunchList::remember() {
  if (known_.size() == kPassesKept) {
    if (known_.back().graph.handle) driver_.free_graph(known_.back().graph);
    known_.pop_back();
  }
  known_.push_front({running_, {}});
}

void LaunchList::run() {
  if (pass_.empty()) return;
  running_.swap(pass_);
  pass_.clear();  // also when a launch fails
  Known* known = use_graphs_ ? find() : nullptr;
  const Range pass(ranges_, known ? "pass, as a graph" : "pass");
  if (!known) {
    enqueue();
    if (use_graphs_) remember();
    return;
  }
  if (!known->graph.handle) {
    driver_.begin_capture(stream_);
    enqueue();
    known->graph = driver_.end_capture(stream_);
  }
  driver_.launch(known->graph, stream_);
}

}  // namespace potluck
