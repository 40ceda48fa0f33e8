// Measures products in cache, and memory as operations and loads use it.
#include "kernels/cpu/fast/peaks.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/machine/pages.h"
#include "kernels/cpu/reference/fused_dot_products.h"
#include "kernels/cpu/reference/row_products.h"
#include "topology/base/check.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"

namespace potluck::cpu {
namespace {

constexpr double kEachSeconds = 0.03;  // for each shape
constexpr int kBatch = 32;             // calls: long for a clock, short for the system's scheduler
constexpr size_t kCacheLine = 64;
constexpr size_t kReadTask = 1u << 20;
constexpr size_t kReadTasks = 32;  // in a round, which threads share
constexpr size_t kReadPasses = 6;
constexpr uint64_t kWord = 0x0101010101010101;  // what memory is filled with
// A canvas' activations, which are copied row by row.
constexpr int64_t kCanvasRows = 256;
constexpr size_t kRowBytes = 2816 * sizeof(float), kCanvasBytes = kCanvasRows * kRowBytes;
constexpr size_t kCopyPasses = 8, kCopiesLeast = 400;

struct FreeAligned {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};
using Aligned = std::unique_ptr<std::byte[], FreeAligned>;

Aligned aligned(size_t bytes) {
  const size_t rounded = (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(kCacheLine, rounded));
  if (!data)
    throw Fault(FaultKind::memory,
                "cannot allocate " + std::to_string(bytes) + " bytes to measure");
  return Aligned(data);
}

struct Shape {
  int64_t rows, columns;
  double operations() const { return 2.0 * rows * kPanelRows * columns; }
};
// Multiples of every kernel's tile of rows, and of every block; panels in L1, or in L2.
constexpr Shape kShapes[] = {{24, 512}, {24, 1024}, {32, 1024}, {64, 1024}, {64, 2048}};

// One thread's operands. Values are small and of no consequence: time does not depend on them.
class Operands {
 public:
  explicit Operands(Shape shape)
      : shape_(shape),
        x_(shape.rows * shape.columns, 0.5f),
        w_(kPanelRows * shape.columns, 0.25f),
        out_(shape.rows * kPanelRows) {}

  // Returns a function that multiplies once.
  std::function<void()> product(const ProductKind& kind) {
    if (kind.isa == Isa::portable)
      return [this, products = kind.fused ? fused_dot_products : dot_products] {
        products({x_.data(), shape_.columns}, shape_.rows, {w_.data(), shape_.columns}, kPanelRows,
                 shape_.columns, {out_.data(), kPanelRows});
      };
    const PackedProduct& product = packed_product(kind.isa, kind.type, kind.use);
    pack(product, kind.type);
    return [this, &product] {
      product.multiply(
          {rows_, shape_.rows, panel_.get(), shape_.columns, out_.data(), kPanelRows, kPanelRows});
    };
  }

 private:
  void pack(const PackedProduct& product, DType type) {
    const std::vector<std::byte> blocks(row_bytes(type, kPanelRows * shape_.columns),
                                        std::byte{0x11});
    panel_ = aligned(product.panel_bytes(shape_.columns));
    product.pack_panel({type, blocks.data(), kPanelRows, shape_.columns}, panel_.get());
    const size_t bytes = product.row_bytes(shape_.columns);
    packed_ = aligned(bytes * shape_.rows);
    rows_ = {packed_.get(), bytes};
    for (int64_t r = 0; r < shape_.rows; ++r)
      product.pack_row(x_.data() + r * shape_.columns, shape_.columns, rows_[r]);
  }

  Shape shape_;
  std::vector<float> x_, w_, out_;
  Aligned packed_, panel_;
  PackedRows rows_{};
};

// Calls a second of each thread's own function: the best batch of each while all are at it, summed.
double calls_per_second(const std::vector<std::function<void()>>& each, int batch,
                        ThreadPool& pool) {
  std::vector<double> best(each.size());
  pool.for_each(each.size(), [&](int64_t i, int) {
    const auto thread = i;
    const Time end = now() + from_seconds(kEachSeconds);
    for (Time begin = now(); begin < end; begin = now()) {
      for (int call = 0; call < batch; ++call) each[thread]();
      best[thread] = std::max(best[thread], batch / seconds(now() - begin));
    }
  });
  return std::accumulate(best.begin(), best.end(), 0.0);
}

// Sums whole lines. Prefetching is worth a third: 17 GB/s instead of 13 (Xeon, 2 threads,
// 2026-11-26; memchr the same 13).
uint64_t sum_of_words(const std::byte* bytes, size_t count) {
  constexpr int64_t kLine = 8, kAhead = 512;  // words
  const auto* words = reinterpret_cast<const uint64_t*>(bytes);
  uint64_t sums[kLine] = {};
  for (int64_t i = 0; i < static_cast<int64_t>(count / sizeof(uint64_t)); i += kLine) {
    __builtin_prefetch(words + i + kAhead);
    for (int64_t j = 0; j < kLine; ++j) sums[j] += words[i + j];
  }
  return std::accumulate(sums, sums + kLine, uint64_t{0});
}

}  // namespace

const char* product_name(const ProductKind& kind) {
  if (kind.isa == Isa::portable) return kind.fused ? "f32 fused" : "f32 reference";
  return packed_product(kind.isa, kind.type, kind.use).name;
}

double product_peak(const ProductKind& kind, ThreadPool& pool) {
  double best = 0;
  for (const Shape& shape : kShapes) {
    std::vector<std::unique_ptr<Operands>> operands;
    std::vector<std::function<void()>> each;
    for (int i = 0; i < pool.threads(); ++i) {
      operands.push_back(std::make_unique<Operands>(shape));
      each.push_back(operands.back()->product(kind));
    }
    best = std::max(best, calls_per_second(each, kBatch, pool) * shape.operations());
  }
  return best;
}

double read_peak(size_t bytes, ThreadPool& pool) {
  const size_t rounds = std::max<size_t>(1, bytes / (kReadTask * kReadTasks));
  const size_t all = rounds * kReadTask * kReadTasks;
  const Pages memory(all);
  const auto at = [&](int64_t task) { return memory.data() + task * kReadTask; };
  pool.for_each(rounds * kReadTasks,
                [&](int64_t task, int) { std::memset(at(task), 1, kReadTask); });
  std::vector<double> fastest(rounds, 1e9);  // seconds, of each round's own memory
  for (size_t i = 0; i < kReadPasses * rounds; ++i) {
    const size_t round = i % rounds;
    const auto first = round * kReadTasks;
    const Time begin = now();
    pool.for_each(kReadTasks, [&](int64_t task, int) {
      CHECK(sum_of_words(at(first + task), kReadTask) == kReadTask / sizeof(uint64_t) * kWord,
            task);
    });
    fastest[round] = std::min(fastest[round], seconds(now() - begin));
  }
  return all / std::accumulate(fastest.begin(), fastest.end(), 0.0);
}

double read_rate(const std::byte* bytes, size_t count, ThreadPool& pool) {
  const size_t lead = -reinterpret_cast<uintptr_t>(bytes) % kCacheLine;
  const size_t lines = count > lead ? (count - lead) / kCacheLine * kCacheLine : 0;
  std::atomic<uint64_t> sum{0};  // so that nothing is left out
  const Time begin = now();
  pool.for_each((lines + kReadTask - 1) / kReadTask, [&](int64_t task, int) {
    const size_t at = task * kReadTask;
    sum += sum_of_words(bytes + lead + at, std::min(kReadTask, lines - at));
  });
  return count / seconds(now() - begin);
}

double touch_rate(size_t bytes, ThreadPool& pool) {
  Pages pages(bytes);
  const Time begin = now();
  pages.touch(pool);
  return pages.bytes() / seconds(now() - begin);
}

double copy_peak(size_t bytes, ThreadPool& pool) {
  const size_t pairs = std::max<size_t>(1, bytes / (2 * kCanvasBytes));
  const Pages memory(pairs * 2 * kCanvasBytes);
  pool.for_each(2 * pairs, [&](int64_t canvas, int) {
    std::memset(memory.data() + canvas * kCanvasBytes, 1, kCanvasBytes);
  });
  std::vector<double> fastest(pairs, 1e9);  // seconds, of each pair
  for (size_t i = 0; i < std::max(kCopiesLeast, kCopyPasses * pairs); ++i) {
    const size_t pair = i % pairs, back = i / pairs % 2;
    const std::byte* from = memory.data() + (2 * pair + back) * kCanvasBytes;
    std::byte* to = memory.data() + (2 * pair + 1 - back) * kCanvasBytes;
    const Time begin = now();
    each_row(kCanvasRows, pool, [&](int64_t row, int) {
      const auto at = row * kRowBytes;
      std::memcpy(to + at, from + at, kRowBytes);
    });
    fastest[pair] = std::min(fastest[pair], seconds(now() - begin));
  }
  return 2.0 * (pairs * kCanvasBytes) / std::accumulate(fastest.begin(), fastest.end(), 0.0);
}

}  // namespace potluck::cpu
