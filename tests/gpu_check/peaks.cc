// Facts of the card, and its roof: what memory, cache and matrix units do at most, measured in the
// same run as all else, for a card that is slow today is slow in everything.
#include <algorithm>
#include <cstdio>

#include "tests/gpu_check/check.h"
#include "tests/gpu_check/raw_card.h"

namespace potluck {
namespace {

constexpr int64_t kWordBytes = 16;
constexpr int64_t kSliceBytes = gpu::kPeakWords * kWordBytes;
constexpr int kBlocksOfUnit = 8;  // 2,048 threads

struct Sizes {
  int64_t memory_bytes;  // that are read and copied
  int64_t cache_bytes;   // that are read again and again
  int passes, rounds, nodes, runs;
};

// Memory that no cache holds, and half of the cache.
Sizes sizes_of(const Check& check, const GpuFacts& facts) {
  if (check.tiny()) return {4 * kSliceBytes, 2 * kSliceBytes, 2, 2, 8, 1};
  const int64_t most = check.options.quick ? int64_t{256} << 20 : int64_t{1} << 30;
  const int64_t memory = std::min<int64_t>(most, facts.bytes_free / 8);
  const int64_t cache = std::max<int64_t>(facts.cache_bytes / 2, 2 * kSliceBytes);
  return {memory / kSliceBytes * kSliceBytes, cache / kSliceBytes * kSliceBytes, 64, 2048, 1000, 5};
}

class Peaks final {
 public:
  explicit Peaks(Check& check)
      : card_(check.driver),
        facts_(card_.driver().facts()),
        sizes_(sizes_of(check, facts_)),
        blocks_(check.tiny() ? 2 : facts_.units * kBlocksOfUnit),
        out_(card_.make<uint32_t>(static_cast<size_t>(blocks_) * gpu::kPeakThreads)) {}

  const GpuFacts& facts() const { return facts_; }

  Roof measure() {
    Roof roof;
    const size_t bytes = static_cast<size_t>(sizes_.memory_bytes);
    auto *from = card_.make<uint8_t>(bytes), *to = card_.make<uint8_t>(bytes);
    card_.driver().fill(0x01010101, from, bytes / 4, card_.stream());
    const double copied = 2.0 * static_cast<double>(bytes);
    const int copies = static_cast<int>(sizes_.memory_bytes / kSliceBytes);
    const double by_driver = copied / card_.seconds_of(sizes_.runs, [&] {
      card_.driver().copy(from, to, bytes, card_.stream());
    });
    const double by_kernel = copied / card_.seconds_of(sizes_.runs, [&] {
      card_.launch(gpu::PeakCopy{from, to}, copies);
    });
    roof.copy = std::max(by_driver, by_kernel);
    roof.read = read_rate(from, sizes_.memory_bytes, 1);
    roof.cache_read = read_rate(from, sizes_.cache_bytes, sizes_.passes);
    roof.f16 = product_rate(gpu::PeakF16{reinterpret_cast<float*>(out_), nullptr, sizes_.rounds});
    roof.s8 = product_rate(gpu::PeakS8{reinterpret_cast<int32_t*>(out_), nullptr, sizes_.rounds});
    roof.graph_node_seconds = node_seconds();
    return roof;
  }

 private:
  // Blocks share the slices evenly, and each goes on to a slice that it has not just read.
  double read_rate(const uint8_t* from, int64_t bytes, int passes) {
    const auto slices = static_cast<int32_t>(bytes / kSliceBytes);
    const int each = passes > 1 ? passes : (slices + blocks_ - 1) / blocks_;
    const int step = passes > 1 ? slices / 2 + 1 : blocks_;
    const double seconds = card_.seconds_of(sizes_.runs, [&] {
      card_.launch(gpu::PeakRead{from, gpu::kPeakWords, slices, step, each, out_}, blocks_);
    });
    return static_cast<double>(blocks_) * each * kSliceBytes / seconds;
  }

  template <typename Operands>
  double product_rate(Operands operands) {
    operands.operations = card_.make<int64_t>(1);
    const double seconds = card_.seconds_of(sizes_.runs, [&] { card_.launch(operands, blocks_); });
    return static_cast<double>(card_.get(operands.operations, 1).front()) * blocks_ / seconds;
  }

  // A node of a graph that does nothing.
  double node_seconds() {
    GpuDriver& driver = card_.driver();
    driver.begin_capture(card_.stream());
    for (int i = 0; i < sizes_.nodes; ++i) card_.launch(gpu::Fill{out_, 0, 0}, 1);
    const GpuGraph graph = driver.end_capture(card_.stream());
    const double all = card_.seconds_of(sizes_.runs, [&] { driver.launch(graph, card_.stream()); });
    driver.free_graph(graph);
    return all / sizes_.nodes;
  }

  RawCard card_;
  GpuFacts facts_;
  Sizes sizes_;
  int blocks_;
  uint32_t* out_;
};

void report_facts(Check& check, const GpuFacts& facts) {
  check.report.add("card", facts.name,
                   {{"architecture", facts.architecture},
                    {"driver", facts.driver},
                    {"units", double(facts.units)},
                    {"lanes", double(facts.lanes)},
                    {"memory_gb", facts.bytes_total * 1e-9},
                    {"free_gb", facts.bytes_free * 1e-9},
                    {"l2_mb", facts.cache_bytes * 1e-6},
                    {"shared_kb", facts.shared_bytes / 1024.0},
                    {"watchdog", double(facts.has_watchdog)}});
}

}  // namespace

const Roof& roof_of(Check& check) {
  if (!check.roof) check.roof = Peaks(check).measure();
  return *check.roof;
}

void check_peaks(Check& check) {
  report_facts(check, Peaks(check).facts());
  const Roof& roof = roof_of(check);
  check.report.add("peaks", "measured",
                   {{"copy_gb_s", roof.copy * 1e-9},
                    {"read_gb_s", roof.read * 1e-9},
                    {"l2_gb_s", roof.cache_read * 1e-9},
                    {"f16_tflop_s", roof.f16 * 1e-12},
                    {"s8_top_s", roof.s8 * 1e-12},
                    {"node_us", roof.graph_node_seconds * 1e6}});
}

}  // namespace potluck
