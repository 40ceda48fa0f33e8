// Faults that a new backend could have, planted one at a time: the checks of the contract suite
// must find each. So the suite is seen red whenever it runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <utility>

#include "backends/cpu/cpu_backend.h"
#include "kernels/cpu/packed/available.h"
#include "tests/contract/backend/backend_contract.h"
#include "tests/contract/backend/deferred_backend.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

// Lifetimes: host memory is read when it is no longer the backend's.
class ReadsUploadsLate final : public DeferredBackend {
 public:
  using DeferredBackend::DeferredBackend;
  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override {
    later([=, this] { below().upload(host, bytes, to, offset); });
  }
};

class ReadsRowsAfterTheWait final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) override {
    late_ = [=, this] { below().unpack(wire, type, rows, n, x); };
  }
  void wait() override {
    if (waited_ && late_) std::exchange(late_, nullptr)();
    waited_ = true;
    below().wait();
  }

 private:
  std::function<void()> late_;
  bool waited_ = false;
};

class LetsBlocksGo final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                     int64_t rows, int64_t columns, Care care) override {
    const std::shared_ptr<const std::byte> not_held(std::shared_ptr<void>(), blocks.get());
    return below().load_matrix(not_held, type, count, rows, columns, care);
  }
};

class TakesAnyWeights final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                     int64_t rows, int64_t columns, Care care) override {
    try {
      return below().load_matrix(blocks, type, count, rows, columns, care);
    } catch (const Fault&) {
      return {};
    }
  }
};

// Waits: results are not there when wait() returns, or not those of their place.
class ReturnsBeforeTheEnd final : public DeferredBackend {
 public:
  using DeferredBackend::DeferredBackend;
  void wait() override {}
};

class PacksAtTheWait final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) override {
    late_.push_back([=, this] { below().pack(x, type, rows, n, wire); });
  }
  void wait() override {
    for (const auto& pack : std::exchange(late_, {})) pack();
    below().wait();
  }

 private:
  std::vector<std::function<void()>> late_;
};

// Memory.
class GivesUsedMemory final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  Tensor allocate(size_t bytes) override {
    const Tensor tensor = below().allocate(bytes);
    below().fill(1, bytes / sizeof(float), tensor, 0);
    return tensor;
  }
};

class RefusesWithoutAFault final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  Tensor allocate(size_t bytes) override {
    if (bytes > size_t{1} << 40) throw std::bad_alloc();
    return below().allocate(bytes);
  }
};

class FillsFromTheStart final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void fill(float value, size_t count, Tensor to, size_t) override {
    below().fill(value, count, to, 0);
  }
};

// Operands that a compiler does not tell apart.
class SwapsGateAndUp final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) override {
    below().gelu_mul(up, gate, rows, n, out);
  }
};

class SwapsKeysAndValues final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void qkv(const Qkv& op) override {
    Qkv swapped = op;
    std::swap(swapped.kv.k, swapped.kv.v);
    below().qkv(swapped);
  }
  void attention(const Attention& op) override {
    Attention swapped = op;
    std::swap(swapped.fresh.k, swapped.fresh.v);
    below().attention(swapped);
  }
};

class SwapsBranches final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void add_norm(const AddNorm& op) override {
    AddNorm swapped = op;
    std::swap(swapped.a.norm, swapped.b.norm);
    below().add_norm(swapped);
  }
};

class MistakesTheRoutersScales final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void route(const Route& op) override {
    Route swapped = op;
    swapped.router.per_expert_scale = op.router.scale;  // it is longer, so nothing else shows
    below().route(swapped);
  }
};

// Rows and segments.
class MixesNeighbours final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void matmul(Tensor x, const Matrix& w, int rows, Tensor out) override {
    below().matmul(x, w, rows, out);
    if (rows > 1) below().copy(out, static_cast<size_t>(w.rows) * sizeof(float), out, 0, 4);
  }
  void experts(const Experts& op) override {
    below().experts(op);
    if (op.rows > 1) below().copy(op.out, 400, op.out, 0, 4);
  }
};

class TakesAllSegmentsAsTheFirst final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void canvas_input(const CanvasInput& op) override {
    StepParams params;
    below().download(op.params, sizeof(params), &params, 0);
    below().wait();
    for (Segment& s : params.segments) s.mode = params.segments[0].mode;
    below().upload(&params, sizeof(params), op.params, 0);
    below().canvas_input(op);
  }
  void vocab_attention(const VocabAttention& op) override {
    StepParams params;
    below().download(op.params, sizeof(params), &params, 0);
    below().wait();
    for (Segment& s : params.segments) s.key = params.segments[0].key;
    below().upload(&params, sizeof(params), op.params, 0);
    below().vocab_attention(op);
  }
};

struct Plant {
  std::string name;
  std::unique_ptr<Backend> (*wrap)(std::unique_ptr<Backend> below);
  std::vector<std::string> red;  // the checks that must find it
};

template <typename Broken>
Plant plant(const std::string& name, std::vector<std::string> red) {
  return {name,
          [](std::unique_ptr<Backend> below) -> std::unique_ptr<Backend> {
            return std::make_unique<Broken>(std::move(below));
          },
          std::move(red)};
}

std::vector<Plant> plants() {
  return {
      plant<ReadsUploadsLate>("ReadsUploadsLate",
                              {"UploadTakesTheBytes", "LoadVectorTakesTheValues"}),
      plant<ReadsRowsAfterTheWait>("ReadsRowsAfterTheWait", {"WaitEndsUnpacking"}),
      plant<LetsBlocksGo>("LetsBlocksGo", {"LoadMatrixHoldsItsBlocks"}),
      plant<TakesAnyWeights>("TakesAnyWeights", {"RefusesWeightsThatAreNotFinite"}),
      plant<ReturnsBeforeTheEnd>("ReturnsBeforeTheEnd", {"WaitEndsDownloads", "WaitEndsPacking"}),
      plant<PacksAtTheWait>("PacksAtTheWait", {"WaitEndsPacking"}),
      plant<GivesUsedMemory>("GivesUsedMemory", {"AllocatesZeros"}),
      plant<RefusesWithoutAFault>("RefusesWithoutAFault", {"RefusesMemoryAsAFault"}),
      plant<FillsFromTheStart>("FillsFromTheStart", {"FillSetsItsRange"}),
      plant<SwapsGateAndUp>("SwapsGateAndUp", {"MultipliesByGelu"}),
      plant<SwapsKeysAndValues>("SwapsKeysAndValues",
                                {"StoresKeysAndValues", "AttendsToWhatEachRowSees"}),
      plant<SwapsBranches>("SwapsBranches", {"AddsNorms"}),
      plant<MistakesTheRoutersScales>("MistakesTheRoutersScales", {"RoutesToTheLikeliest"}),
      plant<MixesNeighbours>("MixesNeighbours",
                             {"MultipliesWholeNumbers", "MultipliesWithinItsCare", "MixesExperts"}),
      plant<TakesAllSegmentsAsTheFirst>("TakesAllSegmentsAsTheFirst",
                                        {"MakesTheCanvasInput", "AnswersForTheVocabulary"})};
}

void PrintTo(const Plant& plant, std::ostream* out) {
  *out << plant.name;
}

class PlantedFault : public testing::TestWithParam<Plant> {};

// Runs the checks that must find the fault on a CPU of this instruction set.
void find(const Plant& fault, cpu::Isa isa) {
  const BackendKind broken{fault.name,
                           [=] { return fault.wrap(std::make_unique<CpuBackend>(2, isa)); },
                           isa == cpu::Isa::portable};
  size_t run = 0;
  for (const BackendCheck& check : backend_checks()) {
    if (std::count(fault.red.begin(), fault.red.end(), check.name) == 0) continue;
    EXPECT_THAT(check.run(broken), testing::Not(testing::IsEmpty())) << check.name;
    ++run;
  }
  EXPECT_EQ(run, fault.red.size()) << "a check has another name";
}

TEST_P(PlantedFault, IsFound) {
  find(GetParam(), cpu::Isa::portable);
}

// Tolerances are not so wide that a fault hides in them.
TEST_P(PlantedFault, IsFoundWhereProductsRound) {
  if (cpu::best_isa() == cpu::Isa::portable) GTEST_SKIP() << "no fast products on this machine";
  find(GetParam(), cpu::best_isa());
}

INSTANTIATE_TEST_SUITE_P(Faults, PlantedFault, testing::ValuesIn(plants()),
                         [](const auto& plant) { return plant.param.name; });

// Rounding beside the reference is a fault in an exact backend alone.
TEST(PlantedRounding, IsFoundInAnExactBackend) {
  if (!cpu::isa_available(cpu::Isa::avx2)) GTEST_SKIP() << "avx2 is not on this machine";
  const BackendKind rounds{"Rounds",
                           [] { return std::make_unique<CpuBackend>(2, cpu::Isa::avx2); }};
  const std::vector<std::string> red = {"MultipliesWithinItsCare", "MixesExperts",
                                        "AttendsToWhatEachRowSees"};
  for (const BackendCheck& check : backend_checks()) {
    if (std::count(red.begin(), red.end(), check.name) == 0) continue;
    EXPECT_THAT(check.run(rounds), testing::Not(testing::IsEmpty())) << check.name;
  }
}

}  // namespace
}  // namespace potluck
