// Measures a denoising step part by part, beside the peaks of the device. Head and stages are in
// one process, with hops in their wire form between them.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "backends/part.h"
#include "cluster/bench/step/load.h"
#include "topology/base/dtype.h"
#include "topology/model/model_source.h"

namespace potluck {

struct StepBenchOptions {
  std::vector<int> prompts;  // for each run, tokens that are encoded before the canvas
  int canvases = 1;          // in one pass
  int repetitions = 5;       // of each encode and step; the median counts
  int threads = 0;           // of a CPU; 0: one for each core that it may use
  int stages = 1;
  std::string device = "cpu";
  Precision precision = Precision::fast;
  std::string isa;      // of fast products; empty: the best of this machine
  bool ranges = false;  // a card names what it runs for a profiler
  bool cold = false;    // loaded from where the file lies, not from what the system has cached
};

// limit_ms is the time that perfect code would need here, on a CPU: max(Σ operations / peak of
// their product, stored bytes / read rate of memory, memory bytes / copy rate of memory, cache
// bytes / copy rate of caches), with rates as measured in the same run; card_device.h says what it
// is on a card. It is 0 where a part (sampling) has nothing that is counted.
struct PartFigures {
  double ms = 0, operations = 0, bytes = 0, limit_ms = 0;
  std::string bound;  // that sets the limit: a product's name, "memory", "cache copy" …
  double gflop_per_s() const { return ms > 0 ? operations / ms * 1e-6 : 0; }
  double gb_per_s() const { return ms > 0 ? bytes / ms * 1e-6 : 0; }
  double share() const { return ms > 0 ? limit_ms / ms : 0; }
};

struct StepRun {
  int prompt = 0;
  double encode_tokens_per_s = 0;                 // of the median encode; 0: no prompt
  double step_ms = 0, least_ms = 0, most_ms = 0;  // the median step, the fastest, the slowest
  // The median of the steps whose parts were timed: where that costs nothing, of the same ones.
  double profiled_ms = 0;
  std::array<PartFigures, kParts> parts;  // of that step
  double rest_ms() const;                 // of that step, beside all parts
  double limit_ms() const;                // Σ over parts
  double share() const { return limit_ms() / step_ms; }
};

struct Peak {
  std::string product;
  double gflop_per_s = 0;
};

struct StepBench {
  std::string device;  // "cpu (AMD EPYC, 2 threads, avx512)"
  std::string isa;     // a card's architecture
  int threads = 0;     // of a CPU
  double weight_bytes = 0;
  double load_s = 0;         // until head and stages are ready
  double first_step_ms = 0;  // which also reads weights that loading left in their file
  // weight_bytes over load_s and over the time that the first step took beyond a later one.
  double load_gb_per_s = 0;
  LoadRates load_rates;       // measured just before the load
  double panel_bytes = 0;     // that the load stored: panels, or all on a card
  double load_share() const;  // of the slower rate; 0: nothing was stored, and steps read the file
  std::vector<Peak> peaks;    // of the products that ran
  // 0: not measured.
  double read_gb_per_s = 0, memory_copy_gb_per_s = 0, cache_copy_gb_per_s = 0;
  std::vector<StepRun> runs;
};

// Throws Fault{input} for a device or an isa that is not here, more stages than layers or a prompt
// that the model's context cannot hold; Fault{memory}.
StepBench bench_step(const ModelSource& source, const StepBenchOptions& options);

}  // namespace potluck
