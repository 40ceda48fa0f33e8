// A golden model with experts of low-bit types, held by verify to the same model with those experts
// as the f32 that they stand for: it is replayed exactly for a trace, and the trace with the stored
// experts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "backends/make_backend.h"
#include "cluster/ring/ring_plan.h"
#include "cluster/ring/stages_beside.h"
#include "cluster/verify/tensor_file.h"
#include "cluster/verify/verify.h"
#include "kernels/cpu/packed/available.h"
#include "kernels/cpu/reference/dequantize.h"
#include "shard/head.h"
#include "tests/topology/model/temp_folder.h"
#include "topology/model/locator.h"
#include "topology/model/synthetic_blocks.h"

namespace potluck {
namespace {

using nlohmann::json;
using Floats = std::vector<float>;

constexpr char kModel[] = POTLUCK_GOLDEN "/kquant/model-Q4_K_M.gguf";
constexpr char kTrace[] = POTLUCK_GOLDEN "/kquant/trace-Q4_K_M";

struct ExpertTypes {
  DType gate_up, down;  // down has rows of 96 values
};

// The golden model with made-up experts, as they are stored or dequantized to floats.
class WithExperts final : public ModelSource {
 public:
  explicit WithExperts(ExpertTypes types, std::optional<DType> floats = {})
      : source_(open_model(kModel)), tensors_(source_->tensors()), floats_(floats) {
    for (TensorInfo& tensor : tensors_) {
      if (tensor.shape.size() != 3) continue;
      const bool down = tensor.name.find("down") != std::string::npos;
      stored_[tensor.name] = down ? types.down : types.gate_up;
      tensor.type = floats_.value_or(stored_[tensor.name]);
      tensor.bytes = row_bytes(tensor.type, tensor.elements());
    }
  }
  const ModelSpec& spec() const override { return source_->spec(); }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  void drop_cached() const override {}
  Vocabulary vocabulary() const override { return source_->vocabulary(); }
  std::string description() const override { return source_->description(); }
  std::vector<std::string> notes() const override { return {}; }

  TensorBytes map(const TensorInfo& tensor) const override {
    const auto found = stored_.find(tensor.name);
    if (found == stored_.end()) return source_->map(*find_tensor(*source_, tensor.name));
    const size_t bytes = row_bytes(found->second, tensor.elements());
    const std::shared_ptr<std::byte[]> blocks(new std::byte[bytes]);
    synthetic_blocks(found->second, std::sqrt(1.0f / static_cast<float>(tensor.shape.back())),
                     std::hash<std::string>()(tensor.name), blocks.get(), bytes);
    if (!floats_) return {blocks, blocks.get()};
    Floats values(static_cast<size_t>(tensor.elements()));
    cpu::dequantize_row(found->second, blocks.get(), values.data(), tensor.elements());
    const std::shared_ptr<std::byte[]> converted(new std::byte[tensor.bytes]);
    cpu::quantize_row(*floats_, values.data(), converted.get(), tensor.elements());
    return {converted, converted.get()};
  }

 private:
  std::unique_ptr<ModelSource> source_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, DType> stored_;
  std::optional<DType> floats_;
};

// Replays the ops of the golden trace exactly and writes a trace of what comes out.
class Recorder {
 public:
  explicit Recorder(const ModelSource& source)
      : spec_(source.spec()),
        plan_(exact_plan(spec_)),
        backend_(make_backend({.precision = Precision::exact, .cpu = {.threads = 2}})),
        head_(source, plan_, *backend_),
        stages_(source, plan_, *backend_) {}

  void write(const std::string& stem, const TempFolder& folder) {
    json trace = json::parse(read_bytes(std::string(kTrace) + ".json"));
    const TensorFile golden(std::string(kTrace) + ".safetensors");
    Tensor before = head_.new_soft(), after = head_.new_soft();
    for (json& op : trace.at("ops")) {
      const std::string ids_name = op.at("ids");
      const std::vector<int32_t> ids = golden.ids(ids_name);
      put(ids_name, "I32", ids);
      if (op.at("op") == "encode") {
        encode(ids);
        continue;
      }
      op["bf16_rms_rel"] = 1;
      step(op, ids, op.at("self_condition") == "none" ? Tensor{} : before, after);
      std::swap(before, after);
    }
    const std::string header = header_.dump();
    const uint64_t size = header.size();
    folder.write(stem + ".json", trace.dump());
    folder.write(stem + ".safetensors",
                 std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + header + data_);
  }

 private:
  static Plan exact_plan(const ModelSpec& spec) {
    Plan plan = plan_local(spec, {spec.layer_count()});
    plan.chunk = 64;
    plan.precision = Precision::exact;
    set_stream(plan, true);
    return plan;
  }

  void encode(const std::vector<int32_t>& ids) {
    Segment segment;
    segment.position = length_;
    segment.rows = static_cast<int>(ids.size());
    const Tensor none;
    head_.embed(std::span(&segment, 1), ids, std::span(&none, 1));
    stages_.through(std::span(&segment, 1), head_.workspace().x, nullptr);
    length_ += segment.rows;
  }

  // As verify's forced replay: the recorded logits of the step before condition this one.
  void step(const json& op, const std::vector<int32_t>& ids, Tensor before, Tensor after) {
    if (!before.empty()) {
      Floats z = logits_;
      for (float& value : z) value = static_cast<float>(value / temperature_);
      head_.soft_from_logits(z.data(), spec_.canvas, before);
    }
    temperature_ = op.at("temperature").get<double>();
    Segment segment;
    segment.mode = Mode::denoise;
    segment.position = length_;
    segment.rows = spec_.canvas;
    segment.inverse_temperature = 1.0 / temperature_;
    head_.embed(std::span(&segment, 1), ids, std::span(&before, 1));
    stages_.through(std::span(&segment, 1), head_.workspace().x, nullptr);
    const auto vocab = static_cast<size_t>(spec_.vocab);
    logits_.assign(vocab * static_cast<size_t>(spec_.canvas), 0);
    const auto tap = [&](int64_t first, int64_t count, const float* tile) {
      for (size_t t = 0; t < static_cast<size_t>(spec_.canvas); ++t)
        std::copy_n(tile + static_cast<int64_t>(t) * count, count,
                    logits_.begin() + static_cast<int64_t>(t * vocab) + first);
    };
    const Candidates c = head_.answer(std::span(&segment, 1), std::span(&after, 1), tap).front();
    const std::string name = op.at("logits");
    put(name, "F32", logits_);
    put(name.substr(0, name.rfind(".logits")) + ".entropy", "F32",
        Floats(c.entropy.begin(), c.entropy.end()));
  }

  template <typename Value>
  void put(const std::string& name, const char* dtype, const std::vector<Value>& values) {
    const size_t begin = data_.size();
    data_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value));
    header_[name] = {
        {"dtype", dtype}, {"shape", {values.size()}}, {"data_offsets", {begin, data_.size()}}};
  }

  const ModelSpec spec_;
  const Plan plan_;
  std::unique_ptr<Backend> backend_;
  Head head_;
  StagesBeside stages_;
  Floats logits_;
  double temperature_ = 1;
  int length_ = 0;
  json header_;
  std::string data_;
};

constexpr ExpertTypes kExperts[] = {{DType::iq2_s, DType::iq4_nl}, {DType::iq3_s, DType::iq4_nl},
                                    {DType::iq2_xs, DType::mxfp4}, {DType::iq2_xxs, DType::iq4_nl},
                                    {DType::iq3_xxs, DType::q8_0}, {DType::iq1_s, DType::mxfp4},
                                    {DType::iq1_m, DType::iq4_nl}, {DType::mxfp4, DType::mxfp4}};

class LowBitGolden : public testing::TestWithParam<ExpertTypes> {
 protected:
  void SetUp() override { Recorder(WithExperts(GetParam(), DType::f32)).write("trace", folder_); }
  VerifyReport replay(VerifyOptions options, std::optional<DType> floats = {}) const {
    options.trace = folder_.path("trace.json");
    return verify(std::make_shared<WithExperts>(GetParam(), floats), options);
  }
  static std::vector<cpu::Isa> fast_isas() {
    std::vector<cpu::Isa> isas = {cpu::Isa::amx, cpu::Isa::avx512, cpu::Isa::avx2};
    std::erase_if(isas, [](cpu::Isa isa) { return !cpu::isa_available(isa); });
    return isas;
  }
  static VerifyOptions fast_options(cpu::Isa isa) {
    return {.f32 = false, .precision = Precision::fast, .isa = cpu::isa_name(isa)};
  }
  TempFolder folder_;
};

TEST_P(LowBitGolden, ExactProductsAreThoseOfTheDequantizedWeights) {
  const VerifyReport r = replay({});
  EXPECT_GT(r.steps, 3);
  EXPECT_EQ(r.max_abs, 0);
  EXPECT_EQ(r.entropy_max_abs, 0);
  EXPECT_EQ(r.ids.unexplained, 0);
}

// The measure is how much the other matrices, which are the same, lose by the coarsest fast
// products at hand, for those of AMX lose little; the factors are those of the golden traces.
TEST_P(LowBitGolden, FastProductsLoseNearWhatThoseOfFloatsLose) {
  double lost = 0, lost_worst = 0;
  for (const cpu::Isa isa : fast_isas()) {
    const VerifyReport floats = replay(fast_options(isa), DType::f32);
    lost = std::max(lost, floats.vs_bf16);
    lost_worst = std::max(lost_worst, floats.vs_bf16_worst);
  }
  for (const cpu::Isa isa : fast_isas()) {
    SCOPED_TRACE(cpu::isa_name(isa));
    VerifyOptions options = fast_options(isa);
    const VerifyReport r = replay(options);
    EXPECT_LE(r.vs_bf16, 1.6 * lost);
    EXPECT_LE(r.vs_bf16_worst, 2.5 * lost_worst);
    EXPECT_EQ(r.ids.unexplained, 0);
    EXPECT_GT(r.max_abs, 0);
    options.cuts = {2};
    options.chunk = 7;
    options.threads = 2;
    EXPECT_EQ(to_json(replay(options)), to_json(r));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LowBitGolden, testing::ValuesIn(kExperts), [](const auto& test) {
  return std::string(dtype_name(test.param.gate_up)) + "_" + dtype_name(test.param.down);
});

}  // namespace
}  // namespace potluck
