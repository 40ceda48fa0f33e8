// The plan's arithmetic is checked against what a CPU backend takes, on each instruction set.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "backends/cpu/cpu_backend.h"
#include "kernels/cpu/packed/available.h"
#include "kernels/cpu/packed/choose.h"
#include "shard/head.h"
#include "shard/stage.h"
#include "tests/kernels/isa_test.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"
#include "topology/model/tensor_table.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/cpu_needs.h"

namespace potluck {
namespace {

// The released model's widths with little of it: 8 experts, 1,024 ids. A full layer is the second.
constexpr char kWide[] =
    "synthetic:released?layers=2&full_every=2&experts=8&vocab=1024&context=4096&type=";
constexpr char kNano[] = "synthetic:nano?layers=3&type=";

constexpr double kFactorsToo = 1.12;  // AMX keeps one float for each row, beside 34 bytes or more
constexpr double kMost = 1.5;         // of what one instruction set takes: the widest packs f32

class Reserved : public cpu::IsaTest {
 protected:
  static Plan plan(const ModelSpec& spec, int threads, Precision precision) {
    Plan plan;
    plan.stages.push_back({.name = "stage", .layers = {0, spec.layer_count()}, .threads = threads});
    plan.head.threads = threads;
    plan.ctx_size = 2048;
    plan.precision = precision;
    return plan;
  }

  // Queues apart, which no backend holds.
  static uint64_t workspace(const MemoryNeed& need, const ModelSpec& spec, const Plan& plan) {
    const uint64_t hop = hop_bytes(spec, plan.stream, std::max(plan.chunk, spec.canvas));
    return need.kv + need.workspace - 2 * static_cast<uint64_t>(plan.slots) * hop;
  }

  // Weights that a backend copies: vectors, and where it has panels experts, on some instruction
  // sets other matrices too.
  static uint64_t copied(const ModelSource& source, const std::vector<TensorNeed>& needs,
                         bool experts, bool matrices = false) {
    uint64_t bytes = 0;
    for (const TensorNeed& need : needs) {
      const TensorInfo* tensor = find_tensor(source, need.name);
      if (!tensor) continue;
      const auto& shape = tensor->shape;
      if (shape.size() == 1) bytes += static_cast<uint64_t>(shape[0]) * sizeof(float);
      if (shape.size() == 3 && experts)
        bytes += panels_bytes(tensor->type, shape[0], shape[1], shape[2]);
      if (shape.size() == 2 && matrices) bytes += panels_bytes(tensor->type, 1, shape[0], shape[1]);
    }
    return bytes;
  }

  void check_stage(const ModelSource& source, int threads, cpu::Isa isa) {
    SCOPED_TRACE("as a stage");
    const ModelSpec& spec = source.spec();
    const Plan plan = this->plan(spec, threads, precision(isa));
    CpuBackend backend(threads, isa);
    const Stage stage(source, plan, {0, spec.layer_count()}, backend);
    uint64_t vectors = 0, experts = 0, all = 0;
    for (int i = 0; i < spec.layer_count(); ++i) {
      vectors += copied(source, layer_tensors(spec, i), false);
      experts += copied(source, layer_tensors(spec, i), true);
      all += copied(source, layer_tensors(spec, i), true, true);
    }
    const uint64_t need = workspace(stage_need(source, plan, 0), spec, plan);
    compare(backend.reserved().tensors, need + vectors);
    const DType type = find_tensor(source, "blk.0.ffn_down_exps.weight")->type;
    const bool stores =
        isa != cpu::Isa::portable && cpu::packed_product(isa, type, cpu::Use::few).store_panel;
    EXPECT_LE(backend.reserved().panels, stores ? all - vectors : 0);
    EXPECT_GE(static_cast<double>(backend.reserved().panels) * kFactorsToo,
              static_cast<double>(stores ? experts - vectors : 0));
  }

  void check_head(const ModelSource& source, int threads, cpu::Isa isa) {
    SCOPED_TRACE("as the head");
    const ModelSpec& spec = source.spec();
    const Plan plan = this->plan(spec, threads, precision(isa));
    CpuBackend backend(threads, isa);
    Head head(source, plan, backend);
    head.new_soft();
    head.new_soft();
    const uint64_t need = workspace(head_need(source, plan), spec, plan);
    compare(backend.reserved().tensors, need + copied(source, head_tensors(spec), false));
  }

  static Precision precision(cpu::Isa isa) {
    return isa == cpu::Isa::portable ? Precision::exact : Precision::fast;
  }

  static void compare(uint64_t reserved, uint64_t need) {
    EXPECT_LE(reserved, need);
    EXPECT_GE(static_cast<double>(reserved) * kMost, static_cast<double>(need));
  }
};

TEST_P(Reserved, IsWhatThePlanSays) {
  const std::string wide = kWide, nano = kNano;
  for (const std::string& model :
       {wide + "q8_0", wide + "bf16", nano + "q8_0", nano + "bf16", nano + "f32"}) {
    const auto source = open_model(model);
    for (int threads : {1, 12}) {
      SCOPED_TRACE(model + " on " + std::to_string(threads) + " threads");
      check_stage(*source, threads, GetParam());
      check_head(*source, threads, GetParam());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Reserved,
                         testing::Values(cpu::Isa::portable, cpu::Isa::amx, cpu::Isa::avx512,
                                         cpu::Isa::avx2),
                         [](const auto& isa) { return std::string(cpu::isa_name(isa.param)); });

// Every type that has panels, with rows that fill none.
TEST(StoredPanels, TakeWhatThePlanSays) {
  for (cpu::Isa isa : {cpu::Isa::amx, cpu::Isa::avx512, cpu::Isa::avx2}) {
    if (!cpu::isa_available(isa)) continue;
    int stored = 0;
    for (DType type :
         {DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q4_k, DType::q5_k,
          DType::q6_k, DType::iq4_nl, DType::mxfp4, DType::iq2_s, DType::iq2_xs, DType::iq2_xxs,
          DType::iq3_xxs, DType::iq3_s, DType::iq1_s, DType::iq1_m, DType::bf16}) {
      const cpu::PackedProduct& product = cpu::packed_product(isa, type, cpu::Use::few);
      if (!product.store_panel) continue;
      ++stored;
      for (int64_t rows : {32, 70}) {
        const uint64_t stores = cpu::store_bytes(product, {type, nullptr, 3 * rows, 768}, 3);
        const uint64_t most = panels_bytes(type, 3, rows, 768);
        SCOPED_TRACE(std::string(dtype_name(type)) + ", " + std::to_string(rows) + " rows by " +
                     cpu::isa_name(isa));
        EXPECT_LE(stores, most);
        EXPECT_GE(static_cast<double>(stores) * kFactorsToo, static_cast<double>(most));
      }
    }
    EXPECT_GT(stored, 0);
  }
}

}  // namespace
}  // namespace potluck
