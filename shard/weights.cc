// Loads tensors by their GGUF names, and says how carefully products with each must be computed.
#include "shard/weights.h"

#include <array>
#include <string>

#include "backends/finite_weights.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/finite.h"
#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

// The name says it: "attn_q.weight", "self_cond_up.weight", "ffn_down.weight".
Part part_of(const std::string& name) {
  if (name.starts_with("attn_")) return Part::projections;
  return name.starts_with("self_cond_") ? Part::conditioning : Part::dense;
}

// A fault of the tensor's values tells its name.
template <typename Load>
auto named(const TensorInfo& tensor, const Load& load) {
  try {
    return load();
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::input) throw;
    throw Fault(FaultKind::input, "tensor " + tensor.name + ": " + fault.text(), fault.fix());
  }
}

class Loader {
 public:
  Loader(const ModelSource& source, Backend& backend, std::string prefix)
      : source_(source), backend_(backend), prefix_(std::move(prefix)) {}

  Matrix matrix(const std::string& name) const {
    const TensorInfo& tensor = need(name);
    const auto& shape = tensor.shape;
    CHECK(shape.size() == 2 || shape.size() == 3, tensor.name, shape.size());
    const int64_t count = shape.size() == 3 ? shape[0] : 1;
    return named(tensor, [&] {
      Matrix matrix =
          backend_.load_matrix(source_.map(tensor), tensor.type, count, shape[shape.size() - 2],
                               shape.back(), tensor_row(name).care);
      matrix.part = part_of(name);
      return matrix;
    });
  }

  Matrix matrix_if_present(const std::string& name) const {
    return find_tensor(source_, prefix_ + name) ? matrix(name) : Matrix{};
  }

  Tensor vector(const std::string& name) const { return backend_.load_vector(read(name)); }

  // Encoder scalar, then decoder scalar; one serves for both where a file has one.
  Tensor layer_scalars() const {
    const float denoise = read("layer_output_scale.weight").at(0);
    const bool two = find_tensor(source_, prefix_ + "enc_layer_output_scale.weight") != nullptr;
    const float encode = two ? read("enc_layer_output_scale.weight").at(0) : denoise;
    return backend_.load_vector(std::array{encode, denoise});
  }

 private:
  const TensorInfo& need(const std::string& name) const {
    const TensorInfo* tensor = find_tensor(source_, prefix_ + name);
    if (!tensor)
      throw Fault(FaultKind::input, "tensor " + prefix_ + name + " is missing from the model file");
    return *tensor;
  }

  std::vector<float> read(const std::string& name) const {
    const TensorInfo& tensor = need(name);
    std::vector<float> values(tensor.elements());
    const TensorBytes bytes = source_.map(tensor);
    const cpu::WeightView view{tensor.type, bytes.get(), 1, tensor.elements()};
    named(tensor, [&] { check_block(view, cpu::first_not_finite(view)); });
    cpu::dequantize_row(tensor.type, bytes.get(), values.data(), tensor.elements());
    return values;
  }

  const ModelSource& source_;
  Backend& backend_;
  std::string prefix_;
};

}  // namespace

LayerWeights load_layer(const ModelSource& source, int layer, Backend& backend) {
  const Loader load(source, backend, "blk." + std::to_string(layer) + ".");
  LayerWeights w;
  w.attn_norm = load.vector("attn_norm.weight");
  w.q = load.matrix("attn_q.weight");
  w.k = load.matrix("attn_k.weight");
  w.v = load.matrix_if_present("attn_v.weight");
  w.o = load.matrix("attn_output.weight");
  w.q_norm = load.vector("attn_q_norm.weight");
  w.k_norm = load.vector("attn_k_norm.weight");
  w.post_attention_norm = load.vector("post_attention_norm.weight");
  w.ffn_norm = load.vector("ffn_norm.weight");
  w.gate = load.matrix("ffn_gate.weight");
  w.up = load.matrix("ffn_up.weight");
  w.down = load.matrix("ffn_down.weight");
  w.post_ffw_norm_1 = load.vector("post_ffw_norm_1.weight");
  w.router.scale = load.vector("ffn_gate_inp.scale");
  w.router.projection = load.matrix("ffn_gate_inp.weight");
  w.router.per_expert_scale = load.vector("ffn_down_exps.scale");
  w.pre_ffw_norm_2 = load.vector("pre_ffw_norm_2.weight");
  w.experts_gate_up = load.matrix("ffn_gate_up_exps.weight");
  w.experts_down = load.matrix("ffn_down_exps.weight");
  w.post_ffw_norm_2 = load.vector("post_ffw_norm_2.weight");
  w.post_ffw_norm = load.vector("post_ffw_norm.weight");
  w.scale = load.layer_scalars();
  return w;
}

HeadWeights load_head(const ModelSource& source, Backend& backend) {
  const Loader load(source, backend, "");
  HeadWeights w;
  w.table = load.matrix("token_embd.weight");
  w.norm = load.vector("output_norm.weight");
  w.pre_norm = load.vector("self_cond_pre_norm.weight");
  w.gate = load.matrix("self_cond_gate.weight");
  w.up = load.matrix("self_cond_up.weight");
  w.down = load.matrix("self_cond_down.weight");
  return w;
}

}  // namespace potluck
