// Sets the parts of a step beside the card's peaks.
#include "cluster/bench/step/card_device.h"

#include <algorithm>

#include "backends/gpu/open_card.h"
#include "backends/profiled/card_stopwatch.h"
#include "cluster/bench/step/card_peaks.h"

namespace potluck {
namespace {

constexpr char kF16[] = "f16", kInt8[] = "int8";

// The unit that could multiply fastest: int8 for experts, f16 for all else that is fast. Products
// in f32 have no peak here.
const char* unit_of(const Product& product) {
  if (product.kind == Product::Kind::router || product.care == Care::finest) return nullptr;
  return product.kind == Product::Kind::experts ? kInt8 : kF16;
}

void raise(PartFigures& figures, double ms, const char* bound) {
  if (ms > figures.limit_ms) figures.bound = bound;
  figures.limit_ms = std::max(figures.limit_ms, ms);
}

PartFigures figures(const PartWork& work, const CardPeaks& peaks, bool fast) {
  PartFigures f;
  f.ms = work.seconds * 1e3;
  f.bytes = work.stored_bytes + work.memory_bytes + work.cache_bytes;
  double f16 = 0, s8 = 0;
  for (const auto& [product, operations] : work.operations) {
    f.operations += operations;
    const char* unit = fast ? unit_of(product) : nullptr;
    if (unit) (unit == kInt8 ? s8 : f16) += operations;
  }
  raise(f, f16 / peaks.f16 * 1e3, kF16);
  raise(f, s8 / peaks.s8 * 1e3, kInt8);
  raise(f, work.stored_bytes / peaks.read * 1e3, "memory");
  raise(f, work.memory_bytes / peaks.copy * 1e3, "memory copy");
  return f;
}

}  // namespace

CardDevice::CardDevice(const StepBenchOptions& options)
    : backend_(open_card(options.device),
               {.name = options.device, .precision = options.precision, .ranges = options.ranges}),
      fast_(options.precision == Precision::fast) {}

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
  const CardPeaks peaks = card_peaks(backend_);
  for (size_t i = 0; i < steps.size(); ++i)
    std::transform(steps[i].begin(), steps[i].end(), bench.runs[i].parts.begin(),
                   [&](const PartWork& work) { return figures(work, peaks, fast_); });
  bench.peaks = {{kF16, peaks.f16 * 1e-9}, {kInt8, peaks.s8 * 1e-9}};
  bench.read_gb_per_s = peaks.read * 1e-9;
  bench.memory_copy_gb_per_s = peaks.copy * 1e-9;
}

}  // namespace potluck
