// A backend on the bench of the contract suite: puts host values into it, reads results back and
// compares them with what was expected.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/contract/backend/backend_contract.h"
#include "topology/model/model_spec.h"

namespace potluck {

using Floats = std::vector<float>;

inline constexpr int kRowCounts[] = {1, 7, 33, 256};
inline constexpr int kRowsMost = 256;

Floats random_floats(int64_t n, uint32_t seed, float scale = 1);

// Multiples of 1/64, up to 127 of them, with one of 127 in every 32: they lose nothing when they
// are rounded to 8 bits in blocks of 32 or to bf16.
Floats grid_floats(int64_t n, uint32_t seed);

// Random blocks [count · rows, columns], and the values in them.
struct StoredWeights {
  DType type;
  int64_t count, rows, columns;
  std::shared_ptr<const std::byte> blocks;
  Floats values;

  // These are the values `from`, in a type that can be quantized.
  StoredWeights(DType type, int64_t count, int64_t rows, int64_t columns, const Floats& from);
  // These are random bits of a low-bit type, with scales that keep values below 1.
  StoredWeights(DType type, int64_t count, int64_t rows, int64_t columns, uint32_t seed);
  std::span<const float> row(int64_t index) const {
    return std::span(values).subspan(static_cast<size_t>(index * columns),
                                     static_cast<size_t>(columns));
  }
};

class BackendBench final {
 public:
  explicit BackendBench(const BackendKind& kind) : backend_(kind.make()) {}

  Backend& operator*() { return *backend_; }
  Backend* operator->() { return backend_.get(); }

  Tensor put(std::span<const float> values) { return backend_->load_vector(values); }
  Tensor put(std::span<const int32_t> values);
  Tensor put(std::span<const Segment> segments);
  Tensor space(int64_t floats);  // filled with a value that no result has
  Matrix put(const StoredWeights& weights, Care care = Care::usual);
  template <typename Value>
  std::vector<Value> read(Tensor from, int64_t count) {
    std::vector<Value> values(static_cast<size_t>(count));
    backend_->download(from, values.size() * sizeof(Value), values.data());
    backend_->wait();
    return values;
  }
  Floats floats(Tensor from, int64_t count) { return read<float>(from, count); }

 private:
  std::unique_ptr<Backend> backend_;
};

// A model of small widths, for reserve().
ModelSpec small_spec(int hidden);

// Adds a finding that names the worst place if a value is further from what was expected than its
// tolerance; no tolerance: if any bit differs.
void compare(Findings& findings, const std::string& what, std::span<const float> expected,
             std::span<const float> actual, std::span<const double> tolerance = {});
void expect(Findings& findings, bool holds, const std::string& what);

// Rows of a pass, some encoded and some canvas rows, cut out of one table of segments.
std::vector<Segment> segments_of(int first, int count);

// An operation on rows: run(first, count) gives the result of rows [first, first + count), n values
// each. Compares it with the expected [kRowsMost, n] for each row count, and each of some rows
// alone with the same rows together, bit for bit.
struct RowOperation {
  std::string name;
  int64_t n;
  std::function<Floats(int first, int count)> run;
  Floats expected;
  std::vector<double> tolerance;  // empty: the same bits
};
void check_rows(Findings& findings, const RowOperation& operation);

// How far Σ x·w may be from the exact sum where a backend rounds: usual care keeps 8 bits of x and
// w, each alone (bf16: 2⁻⁸ of it) or in blocks of 32 (half a step of the block's most / 127); fine
// 16 bits of x; finest 16 bits of both, in blocks of up to 256. And the rounding of sums in f32,
// n · 2⁻²² of Σ |x·w|.
double product_tolerance(Care care, std::span<const float> x, std::span<const float> w);

}  // namespace potluck
