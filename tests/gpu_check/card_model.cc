// Matrices have addresses whose bytes are drawn on a card; each tensor has a key of its own.
#include "tests/gpu_check/card_model.h"

#include "tests/gpu_check/drawn_weights.h"
#include "topology/model/fingerprint.h"
#include "topology/model/synthetic.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

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
    const uint64_t key = digest_bytes(tensor.name.data(), tensor.name.size(), seed_);
    return drawn_on_card({tensor.type, tensor.shape.back(), key}, tensor.bytes);
  }
  void drop_cached() const override {}
  Vocabulary vocabulary() const override { return shape_->vocabulary(); }
  std::string description() const override { return "drawn weights"; }
  std::vector<std::string> notes() const override { return {}; }

 private:
  std::unique_ptr<ModelSource> shape_;
  std::vector<TensorInfo> tensors_;
  uint64_t seed_;
};

}  // namespace

std::unique_ptr<ModelSource> make_card_model(const std::string& shape, Mix mix, uint32_t seed) {
  return std::make_unique<CardModel>(shape, mix, seed);
}

}  // namespace potluck
