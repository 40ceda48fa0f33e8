// Memory is filled and compared by loops over words: memset and memcmp would tell TSan that the
// running thread of the kernel did it.
#include "tests/emulator/shared_memory.h"

#include <stdexcept>

#include "tests/emulator/sanitizers.h"

namespace potluck::emulator {
namespace {

constexpr uint64_t kNan = 0x7fa07fa07fa07fa0;  // signals in f32 and bf16
constexpr uint64_t kRedZone = 0xc5c5c5c5c5c5c5c5;
constexpr uint64_t kEnded = 0x7fb57fb57fb57fb5;  // NaNs as well

size_t round_up(size_t bytes, size_t to) {
  return (bytes + to - 1) / to * to;
}

void fill(std::byte* from, size_t bytes, uint64_t word) {
  auto* words = reinterpret_cast<uint64_t*>(from);
  for (size_t i = 0; i < bytes / 8; ++i) words[i] = word;
}

bool is_filled(const std::byte* from, size_t bytes, uint64_t word) {
  const auto* words = reinterpret_cast<const uint64_t*>(from);
  uint64_t differs = 0;
  for (size_t i = 0; i < bytes / 8; ++i) differs |= words[i] ^ word;
  return differs == 0;
}

// [from, to), which need not begin at a word.
bool is_red_zone(const std::byte* from, const std::byte* to) {
  while (reinterpret_cast<uintptr_t>(from) % 8 != 0)
    if (*from++ != std::byte(kRedZone & 0xff)) return false;
  return is_filled(from, to - from, kRedZone);
}

}  // namespace

SharedMemory::SharedMemory() : regions_(new std::array<Region, 2>) {}

std::string SharedMemory::open(uint64_t seed, Random& random) {
  region_ = region_ == &(*regions_)[0] ? &(*regions_)[1] : &(*regions_)[0];
  sanitizers::unpoison(region_->memory, kRegionBytes);
  const bool intact = is_filled(region_->memory, region_->used, kEnded);
  sanitizers::poison(region_->memory, kRegionBytes);
  region_->used = 0;
  end_ = random.below(kShifts) * kAlign;
  bytes_ = 0;
  fills_with_nan_ = seed % 2 == 0;
  fill_ = Random(random.next());
  arrays_.clear();
  return intact ? "" : "shared memory of a block was written after that block had ended";
}

void* SharedMemory::array(const SharedArray& what) {
  for (const Placed& array : arrays_)
    if (array.what == &what) return array.at;
  bytes_ = round_up(bytes_, what.alignment) + what.bytes;
  if (bytes_ > kSharedBytesMax || arrays_.size() == kArraysMax)
    throw std::logic_error("shared memory ends at " + std::to_string(kSharedBytesMax) +
                           " bytes; with the array " + what.name + " it takes " +
                           std::to_string(bytes_));
  const Placed array{&what, region_->memory + end_ + kZone};
  const size_t bytes = round_up(what.bytes, 8);
  const size_t whole = round_up(kZone + bytes + kZone, kAlign);
  sanitizers::unpoison(region_->memory + end_, whole);
  fill(region_->memory + end_, whole, kRedZone);
  fill_unwritten(array.at, what.bytes);
  sanitizers::poison(region_->memory + end_, kZone);
  sanitizers::poison(array.at + what.bytes, whole - kZone - what.bytes);
  end_ += whole;
  arrays_.push_back(array);
  return array.at;
}

void SharedMemory::fill_unwritten(std::byte* from, size_t bytes) {
  if (fills_with_nan_) fill(from, bytes, kNan);
  auto* words = reinterpret_cast<uint64_t*>(from);
  if (!fills_with_nan_)
    for (size_t i = 0; i < bytes / 8; ++i) words[i] = fill_.next();
  for (size_t i = bytes / 8 * 8; i < bytes; ++i) from[i] = std::byte(kNan >> (i % 8 * 8));
}

bool SharedMemory::holds(const void* at, size_t bytes) const {
  const auto* first = static_cast<const std::byte*>(at);
  for (const Placed& array : arrays_)
    if (first >= array.at && first + bytes <= array.at + array.what->bytes) return true;
  return false;
}

std::string SharedMemory::overrun() const {
  if (sanitizers::kAsan) return "";  // which has reported it already
  for (const Placed& array : arrays_) {
    const std::string name = std::string(array.what->name) + " (" + array.what->file + ":" +
                             std::to_string(array.what->line) + ")";
    if (!is_red_zone(array.at - kZone, array.at))
      return "shared memory was written before the array " + name;
    if (!is_red_zone(array.at + array.what->bytes, array.at + array.what->bytes + kZone))
      return "shared memory was written past the end of the array " + name;
  }
  return "";
}

void SharedMemory::close() {
  sanitizers::unpoison(region_->memory, end_);
  fill(region_->memory, end_, kEnded);
  sanitizers::poison(region_->memory, end_);
  region_->used = end_;
}

}  // namespace potluck::emulator
