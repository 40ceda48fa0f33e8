// The parts of a check, which share what they are told and where they report.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/gpu_driver.h"
#include "tests/gpu_check/options.h"
#include "tests/gpu_check/report.h"
#include "topology/base/clock.h"

namespace potluck {

// A card does so much at most, as measured: bytes and operations a second.
struct Roof {
  double copy = 0, read = 0, cache_read = 0;
  double f16 = 0, s8 = 0;
  double graph_node_seconds = 0;
};

struct Check {
  const CheckOptions& options;
  Report& report;
  std::string device;
  std::shared_ptr<GpuDriver> driver;  // of the device, which all parts share
  std::optional<Roof> roof;
  std::vector<std::string> devices;  // all that are checked
  Time end;                          // nothing further begins after it

  // Whether there is time to begin this; if there is not, it is reported as left out.
  bool has_time(const std::string& part, const std::string& what) const {
    if (now() < end) return true;
    report.fail(part, what + ": not run, for the time of --seconds was up");
    return false;
  }
  // A card that is emulated takes the smallest shapes.
  bool tiny() const { return device.rfind("emulated:", 0) == 0; }
};

// A backend of its own on the card. Throws Fault.
std::unique_ptr<Backend> make_card_backend(const Check& check, Precision precision,
                                           bool use_graphs = true);

// Facts of the card and its roof.
void check_peaks(Check& check);
const Roof& roof_of(Check& check);
// Where the matrix units hold a lane's values, and what loads and copies bring.
void check_fragments(Check& check);
// Weights that cards draw themselves.
void check_weights(Check& check);
// The promises of backends/backend.h.
void check_contract(Check& check);
// Operations over drawn shapes and values, held to the CPU's reference.
void check_shapes(Check& check);
// Recorded traces.
void check_golden(Check& check);
// NCCL on this card, and to the cards after it.
void check_nccl(Check& check);
// A real-shape step, kernel by kernel.
void bench_kernels(Check& check);
// Operations one by one, in each way that a backend can run them.
void bench_variants(Check& check);
// Whole steps and encoding, and that they have the same bits each time.
void bench_steps(Check& check);

}  // namespace potluck
