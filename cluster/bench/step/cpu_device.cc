// Measures this machine's peaks, and what a part would need at them.
#include "cluster/bench/step/cpu_device.h"

#include <algorithm>
#include <map>

#include "backends/cpu/cpu_options.h"
#include "kernels/cpu/fast/peaks.h"

namespace potluck {
namespace {

constexpr uint64_t kReadBytes = uint64_t{1} << 30;  // more than the largest caches hold
constexpr uint64_t kCopyBytes = kReadBytes / 2;

// Measures each product that ran, once, in operations a second.
class Peaks {
 public:
  Peaks(const CpuBackend& backend, uint64_t bytes_free)
      : backend_(backend),
        pool_(backend.threads()),
        read_(cpu::read_peak(std::min(kReadBytes, bytes_free / 2), pool_)),
        memory_copy_(cpu::copy_peak(std::min(kCopyBytes, bytes_free / 2), pool_)),
        cache_copy_(cpu::copy_peak(0, pool_)) {}

  double of(const cpu::ProductKind& kind) {
    const auto known = products_.find(kind);
    if (known != products_.end()) return known->second;
    return products_[kind] = cpu::product_peak(kind, pool_);
  }

  PartFigures figures(const PartWork& work) {
    PartFigures f;
    f.ms = work.seconds * 1e3;
    f.bytes = work.stored_bytes + work.memory_bytes + work.cache_bytes;
    double longest = 0;
    for (const auto& [product, operations] : work.operations) {
      const cpu::ProductKind kind = backend_.product_kind(product);
      const double ms = operations / of(kind) * 1e3;
      f.operations += operations;
      f.limit_ms += ms;
      if (ms > longest) f.bound = cpu::product_name(kind);
      longest = std::max(longest, ms);
    }
    const auto raise = [&f](double ms, const char* bound) {
      if (ms > f.limit_ms) f.bound = bound;
      f.limit_ms = std::max(f.limit_ms, ms);
    };
    raise(work.stored_bytes / read_ * 1e3, "memory");
    raise(work.memory_bytes / memory_copy_ * 1e3, "memory copy");
    raise(work.cache_bytes / cache_copy_ * 1e3, "cache copy");
    return f;
  }

  double read_gb_per_s() const { return read_ * 1e-9; }
  double memory_copy_gb_per_s() const { return memory_copy_ * 1e-9; }
  double cache_copy_gb_per_s() const { return cache_copy_ * 1e-9; }
  // One peak for each name: the best where several stored types share it.
  std::vector<Peak> all() const {
    std::map<std::string, double> best;
    for (const auto& [kind, rate] : products_) {
      double& known = best[cpu::product_name(kind)];
      known = std::max(known, rate * 1e-9);
    }
    std::vector<Peak> peaks;
    for (const auto& [name, rate] : best) peaks.push_back({name, rate});
    return peaks;
  }

 private:
  const CpuBackend& backend_;
  cpu::ThreadPool pool_;
  double read_, memory_copy_, cache_copy_;  // bytes a second
  std::map<cpu::ProductKind, double> products_;
};

}  // namespace

CpuDevice::CpuDevice(const StepBenchOptions& options)
    : backend_(options.threads, isa_of({.isa = options.isa}, options.precision)) {}

std::unique_ptr<Stopwatch> CpuDevice::new_stopwatch() {
  return std::make_unique<HostStopwatch>(backend_);
}

void CpuDevice::describe(StepBench& bench) const {
  bench.device = backend_.info().name;
  bench.isa = cpu::isa_name(backend_.isa());
  bench.threads = backend_.threads();
}

LoadRates CpuDevice::load_rates(const ModelSource& source, bool cold) {
  LoadRates rates;
  rates.file_gb_per_s = file_rate(source, backend_.threads(), cold) * 1e-9;
  rates.touch_gb_per_s = touch_rate(source, backend_.threads(), backend_.info().bytes_free) * 1e-9;
  return rates;
}

double CpuDevice::stored_bytes(const StepBench&) const {
  return backend_.reserved().panels;
}

void CpuDevice::judge(const std::vector<StepWork>& steps, StepBench& bench) {
  Peaks peaks(backend_, backend_.info().bytes_free);
  for (size_t i = 0; i < steps.size(); ++i)
    std::transform(steps[i].begin(), steps[i].end(), bench.runs[i].parts.begin(),
                   [&](const PartWork& work) { return peaks.figures(work); });
  bench.peaks = peaks.all();
  bench.read_gb_per_s = peaks.read_gb_per_s();
  bench.memory_copy_gb_per_s = peaks.memory_copy_gb_per_s();
  bench.cache_copy_gb_per_s = peaks.cache_copy_gb_per_s();
}

}  // namespace potluck
