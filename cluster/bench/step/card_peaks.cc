// Runs what is measured several times between two events; the fastest counts.
#include "cluster/bench/step/card_peaks.h"

#include <algorithm>

#include "backends/gpu/device_memory.h"
#include "kernels/gpu/fast/peaks.h"

namespace potluck {
namespace {

constexpr uint64_t kMemoryBytes = uint64_t{512} << 20;  // more than the largest caches hold
constexpr uint64_t kPinnedBytes = uint64_t{64} << 20;
constexpr int64_t kSliceBytes = int64_t{gpu::kPeakWords} * 16;
constexpr int kBlocksOfUnit = 8;  // 2,048 threads
constexpr int kRuns = 5;
// A product goes on until it has taken so long.
constexpr double kLongEnoughSeconds = 2e-3;
constexpr int kLeastRounds = 4, kMostRounds = 1 << 18;

class Meter final {
 public:
  explicit Meter(GpuBackend& backend)
      : backend_(backend),
        driver_(backend.driver()),
        stream_(driver_.make_stream()),
        begin_(driver_.make_event()),
        end_(driver_.make_event()) {}
  ~Meter() {
    driver_.free_event(begin_);
    driver_.free_event(end_);
    driver_.free_stream(stream_);
  }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  GpuDriver& driver() { return driver_; }
  GpuStream stream() { return stream_; }

  // At most so many bytes, and a share of what is free.
  Tensor allocate(uint64_t most) {
    const uint64_t bytes = std::min(most, backend_.info().bytes_free / 8);
    const Tensor tensor = backend_.allocate(bytes / kSliceBytes * kSliceBytes);
    backend_.wait();
    return tensor;
  }
  template <typename Operands>
  void launch(const Operands& operands, int blocks) {
    driver_.launch({gpu::kKernelOf<Operands>, blocks, 1, &operands}, stream_);
  }
  template <typename Enqueue>
  double least_seconds(const Enqueue& enqueue) {
    float least_ms = 0;
    for (int i = 0; i < kRuns; ++i) {
      driver_.record(begin_, stream_);
      enqueue();
      driver_.record(end_, stream_);
      driver_.wait(stream_);
      const float ms = driver_.milliseconds(begin_, end_);
      least_ms = i ? std::min(least_ms, ms) : ms;
    }
    return least_ms * 1e-3;
  }

 private:
  GpuBackend& backend_;
  GpuDriver& driver_;
  GpuStream stream_;
  GpuEvent begin_, end_;
};

// Blocks share the slices of memory evenly.
double stream_rate(Meter& meter, Tensor from, Tensor out, int blocks) {
  const int slices = from.bytes / kSliceBytes, passes = (slices + blocks - 1) / blocks;
  const gpu::PeakRead read{.from = at<uint8_t>(from),
                           .slice_words = gpu::kPeakWords,
                           .slices = slices,
                           .step = blocks,
                           .passes = passes,
                           .out = at<uint32_t>(out)};
  const double taken = meter.least_seconds([&] { meter.launch(read, blocks); });
  return int64_t{blocks} * passes * kSliceBytes / taken;
}

double copy_rate(Meter& meter, Tensor from, Tensor to) {
  const double taken = meter.least_seconds(
      [&] { meter.driver().copy(from.data, to.data, to.bytes, meter.stream()); });
  return 2 * to.bytes / taken;
}

template <typename Operands>
double product_rate(Meter& meter, GpuBackend& backend, Operands product, int blocks) {
  const Tensor counted = backend.allocate(sizeof(int64_t));
  backend.wait();
  product.operations = at<int64_t>(counted);
  double taken = 0;
  for (product.rounds = kLeastRounds; product.rounds <= kMostRounds; product.rounds *= 4) {
    taken = meter.least_seconds([&] { meter.launch(product, blocks); });
    if (taken >= kLongEnoughSeconds) break;
  }
  int64_t operations = 0;  // of a block
  backend.download(counted, sizeof(operations), &operations, 0);
  backend.wait();
  return operations * blocks / taken;
}

}  // namespace

CardPeaks card_peaks(GpuBackend& backend) {
  Meter meter(backend);
  const int blocks = meter.driver().facts().units * kBlocksOfUnit;
  const Tensor from = meter.allocate(kMemoryBytes), to = meter.allocate(from.bytes);
  const Tensor out = backend.allocate(sizeof(uint32_t) * blocks * gpu::kPeakThreads);
  backend.wait();
  CardPeaks peaks;
  peaks.read = stream_rate(meter, from, out, blocks);
  peaks.copy = copy_rate(meter, from, to);
  peaks.f16 = product_rate(meter, backend, gpu::PeakF16{f32(out)}, blocks);
  peaks.s8 = product_rate(meter, backend, gpu::PeakS8{i32(out)}, blocks);
  return peaks;
}

double copy_in_rate(GpuBackend& backend) {
  Meter meter(backend);
  const Tensor to = meter.allocate(kPinnedBytes);
  void* const host = meter.driver().allocate_host(to.bytes);
  const double taken =
      meter.least_seconds([&] { meter.driver().copy_in(host, to.data, to.bytes, meter.stream()); });
  meter.driver().free_host(host);
  return to.bytes / taken;
}

}  // namespace potluck
