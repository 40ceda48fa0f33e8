// A step asks one graph and one wait of a card's driver, and no memory; long uploads take turns,
// long launches are cut, and models that are too large for the kernels are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "backends/gpu/gpu_backend.h"
#include "backends/gpu/watchdog.h"
#include "shard/ring_role.h"
#include "tests/backends/gpu/stub_machine.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

using testing::HasSubstr;

constexpr uint64_t kSession = 1;
constexpr int kCanvas = 8;
constexpr char kModel[] =
    "synthetic:nano?layers=2&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5";

// Calls that a driver got.
struct Counts {
  int launches = 0, graphs = 0, captures = 0, copies_in = 0, copies_out = 0, allocations = 0;
  int waits = 0;
};

class Passes : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Backend> backend(GpuOptions options = {}) const {
    options.name = machine_.device();
    return std::make_unique<GpuBackend>(machine_.open(machine_.device()), options);
  }

  Counts counted(const std::function<void()>& act) const {
    StubBooks& books = machine_.books();
    const size_t before = books.calls.size();
    const int allocations = books.allocations, waits = books.waits;
    act();
    Counts counts;
    counts.allocations = books.allocations - allocations;
    counts.waits = books.waits - waits;
    const std::pair<const char*, int Counts::*> names[] = {{"LaunchKernel", &Counts::launches},
                                                           {"GraphLaunch", &Counts::graphs},
                                                           {"BeginCapture", &Counts::captures},
                                                           {"MemcpyHtoD", &Counts::copies_in},
                                                           {"MemcpyDtoH", &Counts::copies_out}};
    for (size_t i = before; i < books.calls.size(); ++i)
      for (const auto& [name, count] : names)
        if (books.calls[i].find(name) != std::string::npos) ++(counts.*count);
    return counts;
  }

  // A head or a stage, driven by hand.
  Plan plan() const {
    Plan plan;
    plan.stages.push_back({.name = "stage", .layers = {0, source_->spec().layer_count()}});
    plan.ctx_size = 256;
    plan.stream = plan.head.hop_type = plan.stages[0].hop_type = DType::f32;
    return plan;
  }
  Message message(MessageKind kind, PeerId from, int rows, int position) const {
    Message m;
    m.header.kind = kind;
    m.header.source = from;
    m.header.session = kSession;
    m.header.dtype = DType::f32;
    m.header.key.seed = 7;
    m.header.first_position = m.header.kv_length_before = position;
    m.header.rows = rows;
    return m;
  }
  Message ids(MessageKind kind, int rows, int position, uint32_t step = 0) const {
    Message m = message(kind, kCoordinatorPeer, rows, position);
    m.header.key.step = step;
    m.payload = own_payload(std::vector<std::byte>(static_cast<size_t>(rows) * sizeof(int32_t)));
    return m;
  }
  Message activations(MessageKind kind, int rows, int position) const {
    std::vector<float> x(static_cast<size_t>(rows) * source_->spec().hidden);
    for (size_t i = 0; i < x.size(); ++i) x[i] = 0.01f * static_cast<float>(i % 97) - 0.5f;
    Message m = message(kind, kHeadPeer, rows, position);
    const auto bytes = std::as_bytes(std::span(x));
    m.payload = own_payload({bytes.begin(), bytes.end()});
    return m;
  }

  StubMachine machine_{GetParam()};
  const std::shared_ptr<const ModelSource> source_ = open_model(kModel);
};

// Prefixes below the window, beyond it, and of more keys than an attention kernel takes at a time.
TEST_P(Passes, ASteadyStepOfAStageIsOneGraphAndOneWaitBehindAnyPrefix) {
  const auto device = backend();
  const auto stage = make_ring_role(*source_, plan(), stage_peer(0), *device);
  stage->open(kSession);
  int length = 0;
  for (const int chunk : {5, 8, 64, 31, 100}) {
    stage->run(activations(MessageKind::encode, chunk, length));
    length += chunk;
    for (int step = 0; step < 3; ++step) {
      SCOPED_TRACE("step " + std::to_string(step) + " behind " + std::to_string(length));
      const Counts counts =
          counted([&] { stage->run(activations(MessageKind::denoise, kCanvas, length)); });
      EXPECT_EQ(counts.waits, 1);
      EXPECT_EQ(counts.copies_in, 2) << "the rows and what changes from step to step";
      EXPECT_EQ(counts.copies_out, 1);
      if (length == 5 && step < 2) continue;  // the pass is run once, then captured
      EXPECT_EQ(counts.graphs, 1);
      EXPECT_EQ(counts.launches, 0);
      EXPECT_EQ(counts.captures, 0);
      EXPECT_EQ(counts.allocations, 0);
    }
  }
}

// Two turns a step, and two soft embeddings in turn: four graphs.
TEST_P(Passes, ASteadyStepOfAHeadIsAGraphAndAWaitForEachTurn) {
  const auto device = backend();
  const auto head = make_ring_role(*source_, plan(), kHeadPeer, *device);
  head->open(kSession);
  for (uint32_t step = 0; step < 8; ++step) {
    Message back = activations(MessageKind::denoise, kCanvas, 0);
    back.header.source = stage_peer(0);
    back.header.key.step = step;
    for (const bool there : {true, false}) {
      SCOPED_TRACE("step " + std::to_string(step) + (there ? ", there" : ", back"));
      const Counts counts =
          counted([&] { head->run(there ? ids(MessageKind::denoise, kCanvas, 0, step) : back); });
      EXPECT_EQ(counts.waits, 1);
      EXPECT_EQ(counts.copies_in, 2);
      EXPECT_EQ(counts.copies_out, 1);
      if (step < 5) continue;
      EXPECT_EQ(counts.graphs, 1);
      EXPECT_EQ(counts.launches, 0);
      EXPECT_EQ(counts.allocations, 0);
    }
  }
}

// An operation sees what was uploaded before it, and not what was uploaded after.
TEST_P(Passes, AnUploadWaitsForTheOperationsThatUseItsTensor) {
  const auto device = backend();
  const Tensor a = device->allocate(64), b = device->allocate(64), c = device->allocate(64);
  const std::vector<float> ones(16, 1), twos(16, 2);
  std::vector<float> first(16), second(16);
  device->upload(ones.data(), 64, a);
  device->copy(a, 32, b, 0, 32);
  const Counts counts = counted([&] { device->upload(twos.data(), 64, c); });
  EXPECT_EQ(counts.launches, 0) << "the copy may still wait";
  device->upload(twos.data(), 64, a);
  device->copy(a, 0, b, 32, 32);
  device->download(b, 64, first.data());
  device->download(c, 64, second.data());
  device->wait();
  EXPECT_EQ(first[0], 1);
  EXPECT_EQ(first[15], 2);
  EXPECT_EQ(second, twos);
}

TEST_P(Passes, ALongUploadFillsOneBufferWhileTheOtherIsCopied) {
  const auto device = backend();
  constexpr size_t kPieces = 5, kPiece = 8 << 20;
  const Tensor tensor = device->allocate(kPieces * kPiece - 12);
  std::vector<std::byte> bytes(tensor.bytes), back(tensor.bytes);
  for (size_t i = 0; i < bytes.size(); i += 4099) bytes[i] = static_cast<std::byte>(i / 4099);
  const Counts counts = counted([&] { device->upload(bytes.data(), bytes.size(), tensor); });
  EXPECT_EQ(counts.copies_in, kPieces);
  EXPECT_EQ(counts.allocations, 2);
  EXPECT_EQ(counts.waits, kPieces - 2);
  device->download(tensor, back.size(), back.data());
  device->wait();
  EXPECT_EQ(back, bytes);
}

// The limit cuts every launch that can be cut to the rows of a block.
TEST_P(Passes, LaunchesThatAreCutForADisplayHaveTheSameBits) {
  constexpr int kRows = 150;
  const auto stage_bits = [&](double flops, Precision precision, int* launches) {
    const auto device = backend({.precision = precision, .flops_at_once = flops});
    const auto stage = make_ring_role(*source_, plan(), stage_peer(0), *device);
    stage->open(kSession);
    Message m = activations(MessageKind::encode, kRows, 0);
    const Counts counts = counted([&] { stage->run(m); });
    *launches = counts.launches;
    const Message out = stage->run(activations(MessageKind::denoise, kCanvas, kRows));
    return std::vector<std::byte>(out.payload.data, out.payload.data + out.payload.bytes);
  };
  for (const Precision precision : {Precision::exact, Precision::fast}) {
    int whole = 0, cut = 0;
    EXPECT_EQ(stage_bits(1, precision, &cut), stage_bits(1e30, precision, &whole));
    EXPECT_GT(cut, whole + 10);
  }
}

TEST(Display, AloneMakesALimitOfWorkForACard) {
  EXPECT_EQ(most_flops({.units = 28, .has_watchdog = false}, Precision::fast), INFINITY);
  const double exact = most_flops({.units = 3, .has_watchdog = true}, Precision::exact);
  EXPECT_DOUBLE_EQ(exact, 2.4e9);
  EXPECT_GT(most_flops({.units = 28, .has_watchdog = true}, Precision::fast), 40 * exact);
}

// Kernels that are not cut, at what memory gives at least (watchdog.h): the re-tiling of an expert,
// and the widest rows of a pass.
TEST(Display, WhatMemoryBindsIsShortEnoughForADisplay) {
  constexpr double kBytesPerSecond = 16e9, kRows = 2048, kWidest = 8192;
  constexpr double kInner = 704, kHidden = 2816, kBytesOfValue = 34.0 / 32;
  const double panels = 2 * kInner * kHidden * kBytesOfValue;
  EXPECT_GT(2 * panels, 8e6);
  EXPECT_LT(2 * panels / kBytesPerSecond, kLaunchSecondsMost);
  EXPECT_LT(2 * kRows * kWidest * sizeof(float) / kBytesPerSecond, kLaunchSecondsMost);
}

TEST_P(Passes, AModelThatTheKernelsCannotTakeIsRefusedInALine) {
  const auto refusal = [&](const std::function<void(ModelSpec&)>& change) -> std::string {
    ModelSpec spec = source_->spec();
    change(spec);
    try {
      backend()->reserve({.spec = &spec, .rows = 8, .keys = 16});
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      return fault.what();
    }
    return "";
  };
  EXPECT_EQ(refusal([](ModelSpec&) {}), "");
  EXPECT_EQ(refusal([](ModelSpec& s) { s.layers[1].head_dim = 1024; }),
            machine_.device() +
                " takes models of at most 512 values in a head; this one has 1024; "
                "take the device cpu");
  EXPECT_THAT(refusal([](ModelSpec& s) { s.experts = 257; }), HasSubstr("256 experts"));
  EXPECT_THAT(refusal([](ModelSpec& s) { s.experts_used = 33; }), HasSubstr("32 experts for a"));
}

INSTANTIATE_TEST_SUITE_P(Of, Passes, testing::Values("cuda_12_2", "hip_6"),
                         [](const auto& stub) { return std::string(stub.param); });

}  // namespace
}  // namespace potluck
