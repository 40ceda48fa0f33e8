// The formats' scales are in one table here, which the host's loop and the card's kernel both read.
#include "tests/gpu_check/drawn_weights.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "kernels/gpu/exact/memory.h"
#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr uint64_t kDrawnBytes = 16 << 20;  // on the host, about; then they repeat

// How a block has its scale: in f16, in f16 as the upper halves of every other byte, or as the
// exponent of half of it.
enum class ScaleForm { f16, quarters, exponent };

// Where a block has its scales, and how far a value goes where they are 1.
struct Scales {
  std::vector<int> at;
  float reach;
  ScaleForm form = ScaleForm::f16;
};

Scales low_bit_scales_of(DType type) {
  switch (type) {
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
      return {{0}, 43 * 15.5f / 4};
    case DType::iq3_xxs:
      return {{0}, 62 * 15.5f / 2};
    case DType::iq3_s:
      return {{0}, 15 * 31};
    case DType::iq1_s:
      return {{0}, 1.125f * 15};
    case DType::iq1_m:
      return {{49}, 1.125f * 15, ScaleForm::quarters};
    case DType::mxfp4:
      return {{0}, 12, ScaleForm::exponent};
    default:
      return {{}, 1};
  }
}

Scales scales_of(DType type) {
  switch (type) {
    case DType::q8_0:
      return {{0}, 127};
    case DType::q4_0:
    case DType::iq4_nl:
      return {{0}, type == DType::q4_0 ? 8.0f : 127.0f};
    case DType::q5_0:
      return {{0}, 16};
    case DType::q5_1:
      return {{0, 2}, 32};
    case DType::q4_k:
      return {{0, 2}, 63 * 15};
    case DType::q5_k:
      return {{0, 2}, 63 * 31};
    case DType::q6_k:
      return {{208}, 128 * 32};
    case DType::q4_1:
      return {{0, 2}, 16};
    case DType::q2_k:
      return {{80, 82}, 15 * 3};
    case DType::q3_k:
      return {{108}, 32 * 4};
    case DType::iq4_xs:
      return {{0}, 32 * 127};
    default:
      return low_bit_scales_of(type);
  }
}

float reach_of(int64_t columns) {
  return std::sqrt(3.0f / columns);
}

void put_scale(ScaleForm form, float scale, std::byte* to) {
  const uint16_t bits = f16_from_f32(scale);
  if (form == ScaleForm::exponent)
    *to = static_cast<std::byte>(128 + std::ilogb(scale));
  else if (form == ScaleForm::f16)
    std::memcpy(to, &bits, 2);
  else
    for (int i = 0; i < 4; ++i)
      to[2 * i] = (to[2 * i] & std::byte{15}) | static_cast<std::byte>(bits >> (4 * i)) << 4;
}

// Scales and offsets are positive; the offset of a type that has one is half of the reach.
void draw_block(const Scales& scales, float scale, std::mt19937& random, std::byte* block,
                int bytes) {
  for (int i = 0; i < bytes; i += 4) {
    const uint32_t word = random();
    std::memcpy(block + i, &word, std::min(4, bytes - i));
  }
  for (const int at : scales.at)
    put_scale(scales.form, scale * (0.5f + 0.5f * (random() % 256) / 256), block + at);
}

void draw_floats(DType type, float reach, std::mt19937& random, std::byte* out, uint64_t bytes) {
  std::uniform_real_distribution<float> uniform(-reach, reach);
  const int each = block_shape(type).bytes;
  for (uint64_t at = 0; at < bytes; at += each) {
    const float value = uniform(random);
    const uint16_t half = type == DType::f16 ? f16_from_f32(value) : bf16_from_f32(value);
    if (type == DType::f32)
      std::memcpy(out + at, &value, 4);
    else
      std::memcpy(out + at, &half, 2);
  }
}

void draw(DType type, int64_t columns, uint32_t seed, std::byte* out, uint64_t bytes) {
  std::mt19937 random(seed);
  const Scales scales = scales_of(type);
  const float reach = reach_of(columns);
  if (scales.at.empty()) return draw_floats(type, reach, random, out, bytes);
  const int each = block_shape(type).bytes;
  for (uint64_t at = 0; at < bytes; at += each)
    draw_block(scales, reach / scales.reach, random, out + at, each);
}

// Bytes of a tensor from `first` on.
struct Place {
  Drawn what;
  int64_t first;
};

// The addresses that stand for drawn tensors.
class Ranges final {
 public:
  TensorBytes add(const Drawn& what, uint64_t bytes) {
    void* place =
        mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) throw Fault(FaultKind::memory, "no addresses for drawn weights");
    const TensorBytes first(static_cast<const std::byte*>(place),
                            [this](const std::byte* p) { remove(p); });
    const std::lock_guard lock(mutex_);
    ranges_[first.get()] = {what, bytes};
    return first;
  }

  std::optional<Place> find(const std::byte* blocks, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto behind = ranges_.upper_bound(blocks);
    if (behind == ranges_.begin()) return {};
    const auto& [begin, range] = *std::prev(behind);
    const int64_t first = blocks - begin;
    if (first + bytes > range.bytes) return {};
    return Place{range.what, first};
  }

 private:
  struct Range {
    Drawn what;
    uint64_t bytes = 0;
  };

  void remove(const std::byte* first) {
    const std::lock_guard lock(mutex_);
    const auto range = ranges_.find(first);
    munmap(const_cast<std::byte*>(first), range->second.bytes);
    ranges_.erase(range);
  }

  std::mutex mutex_;
  std::map<const std::byte*, Range> ranges_;  // by their first address
};

Ranges& ranges() {
  static Ranges only;
  return only;
}

}  // namespace

TensorBytes drawn_blocks(DType type, uint64_t bytes, int64_t columns, uint32_t seed) {
  const std::shared_ptr<std::byte> own(
      static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)), std::free);
  const uint64_t block = block_shape(type).bytes;
  const uint64_t drawn = std::min(bytes, kDrawnBytes / block * block);
  draw(type, columns, seed, own.get(), drawn);
  for (uint64_t at = drawn; at < bytes; at += drawn)
    std::memcpy(own.get() + at, own.get(), std::min(drawn, bytes - at));
  return own;
}

void draw_on_card(GpuDriver& driver, GpuStream stream, const Drawn& what, int64_t first,
                  size_t bytes, void* to) {
  const Scales scales = scales_of(what.type);
  CHECK(scales.form == ScaleForm::f16, dtype_name(what.type));
  gpu::Draw draw{static_cast<uint8_t*>(to),
                 first,
                 int64_t(bytes),
                 what.key,
                 reach_of(what.columns) / scales.reach,
                 gpu::DrawnAs::blocks,
                 block_shape(what.type).bytes,
                 {-1, -1}};
  if (scales.at.empty()) draw.as = what.type == DType::f16 ? gpu::DrawnAs::f16 : gpu::DrawnAs::bf16;
  std::copy(scales.at.begin(), scales.at.end(), draw.scale_at);
  const int64_t words =
      (first % gpu::kDrawBytes + draw.count + gpu::kDrawBytes - 1) / gpu::kDrawBytes;
  const int blocks = (words + gpu::kDrawThreads - 1) / gpu::kDrawThreads;
  driver.launch({gpu::kKernelOf<gpu::Draw>, blocks, 1, &draw}, stream);
}

TensorBytes drawn_on_card(const Drawn& what, uint64_t bytes) {
  return ranges().add(what, bytes);
}

PutBlocks put_drawn(std::shared_ptr<GpuDriver> driver) {
  return [driver](const std::byte* blocks, size_t bytes, std::byte* to, GpuStream stream) {
    const std::optional<Place> place = ranges().find(blocks, bytes);
    if (place) draw_on_card(*driver, stream, place->what, place->first, bytes, to);
    return place.has_value();
  };
}

}  // namespace potluck
