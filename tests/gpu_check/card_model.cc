// Blocks are random bits with scales of a fitting size. One file of memory holds those of a type,
// and a tensor maps it as often as it is long.
#include "tests/gpu_check/card_model.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <random>

#include "topology/base/fault.h"
#include "topology/model/synthetic.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kPoolBytes = 16 << 20;  // of a type, about

// Where a block has its f16 scales, and how far a value goes where they are 1.
struct Scales {
  std::vector<int> at;
  float reach;
};

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
    default:
      return {{}, 1};
  }
}

// Scales and offsets are positive; the offset of a type that has one is half of the reach.
void draw_block(const Scales& scales, float scale, std::mt19937& random, std::byte* block,
                int bytes) {
  for (int i = 0; i < bytes; i += 4) {
    const uint32_t word = random();
    std::memcpy(block + i, &word, std::min(4, bytes - i));
  }
  for (size_t i = 0; i < scales.at.size(); ++i) {
    const uint16_t bits = f16_from_f32(scale * (0.5f + 0.5f * (random() % 256) / 256));
    std::memcpy(block + scales.at[i], &bits, 2);
  }
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
  const float reach = std::sqrt(3.0f / columns);
  if (scales.at.empty()) return draw_floats(type, reach, random, out, bytes);
  const int each = block_shape(type).bytes;
  for (uint64_t at = 0; at < bytes; at += each)
    draw_block(scales, reach / scales.reach, random, out + at, each);
}

// Memory that may be mapped again and again: whole pages, and whole blocks.
class Pool final {
 public:
  Pool(DType type, int64_t columns, uint32_t seed) {
    const uint64_t unit = std::lcm<uint64_t>(kPageBytes, block_shape(type).bytes);
    bytes_ = (kPoolBytes + unit - 1) / unit * unit;
    file_ = memfd_create("potluck-drawn-weights", 0);
    if (file_ < 0 || ftruncate(file_, static_cast<off_t>(bytes_)) != 0)
      throw Fault(FaultKind::memory, "no memory for drawn weights");
    const TensorBytes all = map(bytes_);
    draw(type, columns, seed, const_cast<std::byte*>(all.get()), bytes_);
  }
  ~Pool() { ::close(file_); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  TensorBytes map(uint64_t bytes) const {
    const uint64_t whole = (bytes + bytes_ - 1) / bytes_ * bytes_;
    void* place = mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) throw Fault(FaultKind::memory, "no addresses for drawn weights");
    auto* first = static_cast<std::byte*>(place);
    const TensorBytes mapped(
        first, [whole](const std::byte* p) { munmap(const_cast<std::byte*>(p), whole); });
    for (uint64_t at = 0; at < whole; at += bytes_)
      if (mmap(first + at, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_, 0) ==
          MAP_FAILED)
        throw Fault(FaultKind::memory, "cannot map drawn weights");
    return mapped;
  }

 private:
  int file_ = -1;
  uint64_t bytes_ = 0;
};

// Layers whose down matrices and values take a larger type (llama.cpp's use_more_bits).
bool takes_more(int layer, int layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

int layer_of(const std::string& name) {
  return name.rfind("blk.", 0) == 0 ? std::stoi(name.substr(4)) : -1;
}

// It is the type of a matrix in a published Q4_K_M file. K-quants take whole blocks of 256 alone.
DType type_in_q4_k_m(const TensorInfo& tensor, int layers) {
  const int layer = layer_of(tensor.name);
  const bool more = layer >= 0 && takes_more(layer, layers);
  if (tensor.shape.back() % 256 != 0)
    return tensor.shape.back() % 32 != 0 ? DType::f16 : more ? DType::q8_0 : DType::q5_0;
  if (tensor.name == "token_embd.weight") return DType::q6_k;
  const bool value = tensor.name.find("attn_v.") != std::string::npos;
  return value && more ? DType::q6_k : DType::q4_k;
}

class CardModel final : public ModelSource {
 public:
  CardModel(const std::string& shape, Mix mix, uint32_t seed)
      : shape_(make_synthetic(shape)), tensors_(shape_->tensors()), seed_(seed) {
    for (TensorInfo& tensor : tensors_) {
      if (tensor.type == DType::f32 || mix == Mix::q8_0) continue;
      tensor.type = type_in_q4_k_m(tensor, spec().layer_count());
      tensor.bytes = checked_bytes(tensor.type, tensor.shape, tensor.name, "drawn");
    }
  }

  const ModelSpec& spec() const override { return shape_->spec(); }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TensorBytes map(const TensorInfo& tensor) const override {
    // Norms, scales and routers are small, and are as the synthetic model has them.
    if (tensor.type == DType::f32) return shape_->map(tensor);
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Pool>& pool = pools_[tensor.type];
    if (!pool) pool = std::make_unique<Pool>(tensor.type, tensor.shape.back(), seed_);
    return pool->map(tensor.bytes);
  }
  void drop_cached() const override {}
  Vocabulary vocabulary() const override { return shape_->vocabulary(); }
  std::string description() const override { return "drawn weights"; }
  std::vector<std::string> notes() const override { return {}; }

 private:
  std::unique_ptr<ModelSource> shape_;
  std::vector<TensorInfo> tensors_;
  uint32_t seed_;
  mutable std::mutex mutex_;
  mutable std::map<DType, std::unique_ptr<Pool>> pools_;  // made when they are first mapped
};

}  // namespace

std::unique_ptr<ModelSource> make_card_model(const std::string& shape, Mix mix, uint32_t seed) {
  return std::make_unique<CardModel>(shape, mix, seed);
}

TensorBytes drawn_blocks(DType type, uint64_t bytes, int64_t columns, uint32_t seed) {
  if (bytes > kPoolBytes) return Pool(type, columns, seed).map(bytes);
  const std::shared_ptr<std::byte> own(
      static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)), std::free);
  draw(type, columns, seed, own.get(), bytes);
  return own;
}

}  // namespace potluck
