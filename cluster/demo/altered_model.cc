// Copies each tensor as it is mapped, and alters the copy.
#include "cluster/demo/altered_model.h"

#include <cstring>
#include <functional>
#include <span>
#include <utility>

#include "cluster/demo/random.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr char kLastMatrix[] = "self_cond_down.weight";

using Alteration = std::function<void(const TensorInfo& tensor, std::byte* bytes)>;

class AlteredModel final : public ModelSource {
 public:
  AlteredModel(std::shared_ptr<const ModelSource> source, Alteration alter)
      : source_(std::move(source)), alter_(std::move(alter)) {}

  const ModelSpec& spec() const override { return source_->spec(); }
  const std::vector<TensorInfo>& tensors() const override { return source_->tensors(); }
  Vocabulary vocabulary() const override { return source_->vocabulary(); }
  std::string description() const override { return source_->description() + ", altered"; }
  std::vector<std::string> notes() const override { return source_->notes(); }
  void drop_cached() const override { source_->drop_cached(); }

  TensorBytes map(const TensorInfo& tensor) const override {
    const TensorBytes stored = source_->map(tensor);
    const std::shared_ptr<std::byte[]> bytes(new std::byte[tensor.bytes]);
    std::memcpy(bytes.get(), stored.get(), tensor.bytes);
    alter_(tensor, bytes.get());
    return {bytes, bytes.get()};
  }

 private:
  std::shared_ptr<const ModelSource> source_;
  Alteration alter_;
};

// All types store 0 as bytes of 0.
void clear_last_matrix(const TensorInfo& tensor, std::byte* bytes) {
  if (tensor.name == kLastMatrix) std::memset(bytes, 0, tensor.bytes);
}

template <typename Value>
void shuffle_as(std::byte* bytes, uint64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::span<Value> values(reinterpret_cast<Value*>(bytes), count);
  shuffle(values, random);
}

void shuffle_values(const TensorInfo& tensor, std::byte* bytes, uint64_t seed) {
  const Digest own = digest_bytes(tensor.name.data(), tensor.name.size(), seed);
  const auto count = tensor.elements();
  if (tensor.bytes == count * sizeof(uint32_t)) return shuffle_as<uint32_t>(bytes, count, own);
  if (tensor.bytes == count * sizeof(uint16_t)) return shuffle_as<uint16_t>(bytes, count, own);
  throw Fault(FaultKind::input, tensor.name + " is " + dtype_name(tensor.type) +
                                    ", whose values cannot be shuffled; take a bf16 or f32 model");
}

}  // namespace

std::shared_ptr<const ModelSource> without_self_conditioning(
    std::shared_ptr<const ModelSource> source) {
  return std::make_shared<AlteredModel>(std::move(source), clear_last_matrix);
}

std::shared_ptr<const ModelSource> with_shuffled_weights(std::shared_ptr<const ModelSource> source,
                                                         uint64_t seed) {
  return std::make_shared<AlteredModel>(
      std::move(source),
      [seed](const TensorInfo& tensor, std::byte* bytes) { shuffle_values(tensor, bytes, seed); });
}

}  // namespace potluck
