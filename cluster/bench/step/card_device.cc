// Measures a card's copies through its driver.
#include "cluster/bench/step/card_device.h"

#include <algorithm>
#include <functional>

#include "backends/gpu/open_card.h"
#include "backends/profiled/card_stopwatch.h"

namespace potluck {
namespace {

constexpr uint64_t kCopyBytes = uint64_t{512} << 20;  // more than the largest caches hold
constexpr uint64_t kPinnedBytes = uint64_t{64} << 20;
constexpr int kCopies = 6;  // of which the fastest counts

// The least seconds that the card takes for what is enqueued, of kCopies times.
double least_seconds(GpuDriver& driver, const std::function<void(GpuStream)>& enqueue) {
  const GpuStream stream = driver.make_stream();
  const GpuEvent begin = driver.make_event(), end = driver.make_event();
  float least_ms = 0;
  for (int i = 0; i < kCopies; ++i) {
    driver.record(begin, stream);
    enqueue(stream);
    driver.record(end, stream);
    driver.wait(stream);
    const float ms = driver.milliseconds(begin, end);
    least_ms = i ? std::min(least_ms, ms) : ms;
  }
  driver.free_event(begin);
  driver.free_event(end);
  driver.free_stream(stream);
  return least_ms * 1e-3;
}

uint64_t within_free(GpuBackend& backend, uint64_t bytes) {
  return std::min(bytes, backend.info().bytes_free / 4);
}

// Bytes a second, read and written ones added, of copying within the card's memory.
double copy_rate(GpuBackend& backend) {
  const uint64_t bytes = within_free(backend, kCopyBytes);
  const Tensor from = backend.allocate(bytes), to = backend.allocate(bytes);
  backend.wait();
  const double taken = least_seconds(backend.driver(), [&](GpuStream stream) {
    backend.driver().copy(from.data, to.data, bytes, stream);
  });
  return 2 * bytes / taken;
}

// Bytes a second from pinned host memory to the card.
double copy_in_rate(GpuBackend& backend) {
  const uint64_t bytes = within_free(backend, kPinnedBytes);
  const Tensor to = backend.allocate(bytes);
  backend.wait();
  void* const host = backend.driver().allocate_host(bytes);
  const double taken = least_seconds(backend.driver(), [&](GpuStream stream) {
    backend.driver().copy_in(host, to.data, bytes, stream);
  });
  backend.driver().free_host(host);
  return bytes / taken;
}

PartFigures figures(const PartWork& work, double copied_a_second) {
  PartFigures f;
  f.ms = work.seconds * 1e3;
  for (const auto& [product, operations] : work.operations) f.operations += operations;
  f.bytes = work.stored_bytes + work.memory_bytes + work.cache_bytes;
  f.limit_ms = (work.stored_bytes + work.memory_bytes) / copied_a_second * 1e3;
  if (f.limit_ms > 0) f.bound = "memory";
  return f;
}

}  // namespace

CardDevice::CardDevice(const StepBenchOptions& options)
    : backend_(open_card(options.device),
               {.name = options.device, .precision = options.precision, .ranges = options.ranges}) {
}

std::unique_ptr<Stopwatch> CardDevice::new_stopwatch() {
  return std::make_unique<CardStopwatch>(backend_);
}

void CardDevice::describe(StepBench& bench) const {
  bench.device = backend_.info().name;
  bench.isa = backend_.driver().facts().architecture;
}

LoadRates CardDevice::load_rates(const ModelSource& source, bool cold) {
  LoadRates rates;
  rates.file_gb_per_s = file_rate(source, 0, cold) * 1e-9;
  rates.to_card_gb_per_s = copy_in_rate(backend_) * 1e-9;
  return rates;
}

void CardDevice::judge(const std::vector<StepWork>& steps, StepBench& bench) {
  const double copied_a_second = copy_rate(backend_);
  for (size_t i = 0; i < steps.size(); ++i)
    std::transform(steps[i].begin(), steps[i].end(), bench.runs[i].parts.begin(),
                   [&](const PartWork& work) { return figures(work, copied_a_second); });
  bench.memory_copy_gb_per_s = copied_a_second * 1e-9;
}

}  // namespace potluck
