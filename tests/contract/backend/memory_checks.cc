// Checks device memory and host buffers: order, lifetimes, waits, refusal.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/cpu/reference/dequantize.h"
#include "tests/contract/backend/backend_bench.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr int kCount = 1000;

Floats numbered(float first) {
  Floats values(kCount);
  for (size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i);
  return values;
}

Findings says_what_it_is(const BackendKind& kind) {
  Findings findings;
  const DeviceInfo info = BackendBench(kind)->info();
  expect(findings, !info.name.empty(), "the device has no name");
  expect(findings, info.units >= 1, "no unit of the device works");
  expect(findings, info.bytes_total > 0 && info.bytes_free <= info.bytes_total,
         "more memory is free than there is");
  return findings;
}

Findings allocates_zeros(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  for (int64_t count : {1, kCount, 3 << 20}) {
    const Floats zeros(static_cast<size_t>(count), 0.0f);
    compare(findings, std::to_string(count) + " fresh floats", zeros,
            bench.floats(bench->allocate(zeros.size() * sizeof(float)), count));
  }
  return findings;
}

// The host's buffer is overwritten as soon as a call returns.
Findings upload_takes_the_bytes(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  Floats host = numbered(1);
  const Tensor a = bench->allocate(2 * kCount * sizeof(float));
  bench->upload(host.data(), kCount * sizeof(float), a, kCount * sizeof(float));
  std::fill(host.begin(), host.end(), -1.0f);
  const Tensor b = bench->allocate(kCount * sizeof(float));
  bench->copy(a, kCount * sizeof(float), b, 0, kCount * sizeof(float));
  const Floats second = numbered(5000);
  std::copy(second.begin(), second.end(), host.begin());
  bench->upload(host.data(), kCount * sizeof(float), a, kCount * sizeof(float));
  std::fill(host.begin(), host.end(), -2.0f);
  Floats both(kCount, 0.0f);
  both.insert(both.end(), second.begin(), second.end());
  compare(findings, "what the first upload brought", numbered(1), bench.floats(b, kCount));
  compare(findings, "what the second brought behind it", both, bench.floats(a, 2 * kCount));
  return findings;
}

Findings load_vector_takes_the_values(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  Floats host = numbered(1);
  const Tensor vector = bench->load_vector(host);
  std::fill(host.begin(), host.end(), -1.0f);
  expect(findings, vector.bytes == kCount * sizeof(float), "the vector has another length");
  compare(findings, "a loaded vector", numbered(1), bench.floats(vector, kCount));
  return findings;
}

Findings fill_sets_its_range(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Tensor tensor = bench.put(numbered(1));
  bench->fill(2.5f, 100, tensor, 7 * sizeof(float));
  bench->fill(0, 3, tensor, 500 * sizeof(float));
  Floats expected = numbered(1);
  std::fill_n(expected.begin() + 7, 100, 2.5f);
  std::fill_n(expected.begin() + 500, 3, 0.0f);
  compare(findings, "a tensor filled in part", expected, bench.floats(tensor, kCount));
  return findings;
}

Findings copy_moves_its_range(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Tensor tensor = bench.put(numbered(1)), other = bench.put(numbered(9000));
  bench->copy(tensor, 0, tensor, 600 * sizeof(float), 300 * sizeof(float));
  bench->copy(other, 10 * sizeof(float), tensor, 20 * sizeof(float), 5 * sizeof(float));
  Floats expected = numbered(1);
  std::copy_n(numbered(1).begin(), 300, expected.begin() + 600);
  std::copy_n(numbered(9010).begin(), 5, expected.begin() + 20);
  compare(findings, "a tensor copied to in part", expected, bench.floats(tensor, kCount));
  return findings;
}

// Each result is that of its place in the order of calls, and there when wait() returns.
Findings wait_ends_downloads(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Tensor tensor = bench.put(numbered(1));
  Floats before(kCount, -1.0f), part(10, -1.0f), after(kCount, -1.0f);
  bench->download(tensor, kCount * sizeof(float), before.data());
  bench->download(tensor, 10 * sizeof(float), part.data(), 40 * sizeof(float));
  bench->fill(3, kCount, tensor);
  bench->download(tensor, kCount * sizeof(float), after.data());
  bench->wait();
  compare(findings, "a download before the tensor was filled", numbered(1), before);
  compare(findings, "a part of it", std::span<const float>(numbered(41)).first(10), part);
  compare(findings, "a download after it", Floats(kCount, 3.0f), after);
  return findings;
}

Findings wait_ends_packing(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Tensor x = bench.put(numbered(1));
  Floats before(kCount, -1.0f), after(kCount, -1.0f);
  bench->pack(x, DType::f32, 10, kCount / 10, before.data());
  bench->fill(3, kCount, x);
  bench->pack(x, DType::f32, 10, kCount / 10, after.data());
  bench->wait();
  compare(findings, "rows packed before they were filled", numbered(1), before);
  compare(findings, "rows packed after it", Floats(kCount, 3.0f), after);
  return findings;
}

Findings wait_ends_unpacking(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Tensor x = bench.space(kCount);
  Floats wire = numbered(1);
  bench->unpack(wire.data(), DType::f32, 10, kCount / 10, x);
  bench->wait();
  std::fill(wire.begin(), wire.end(), -1.0f);
  compare(findings, "unpacked rows", numbered(1), bench.floats(x, kCount));
  return findings;
}

// The blocks are spoilt when nobody holds them any more.
Findings load_matrix_holds_its_blocks(const BackendKind& kind) {
  Findings findings;
  const int n = 64, rows = 3;
  const StoredWeights w(DType::f32, 1, n, n, grid_floats(n * n, 1));
  Floats copy = w.values;  // outlives the backend, which lets the blocks go
  BackendBench bench(kind);
  std::shared_ptr<const std::byte> blocks(
      reinterpret_cast<const std::byte*>(copy.data()),
      [&copy](const std::byte*) { std::fill(copy.begin(), copy.end(), -7.0f); });
  const Matrix matrix = bench->load_matrix(std::move(blocks), DType::f32, 1, n, n, Care::usual);
  const ModelSpec spec = small_spec(n);
  bench->reserve({.spec = &spec, .rows = kRowsMost, .keys = kRowsMost});
  const Floats x = grid_floats(rows * n, 2);
  const Tensor out = bench.space(rows * n);
  bench->matmul(bench.put(x), matrix, rows, out);
  Floats expected;
  std::vector<double> tolerance;
  for (int t = 0; t < rows; ++t)
    for (int o = 0; o < n; ++o) {
      const auto row = std::span(x).subspan(static_cast<size_t>(t * n), static_cast<size_t>(n));
      expected.push_back(std::inner_product(row.begin(), row.end(), w.row(o).begin(), 0.0f));
      tolerance.push_back(product_tolerance(Care::finest, row, w.row(o)));
    }
  if (kind.exact) tolerance.clear();  // sums of whole numbers of 1/4096 are exact in any order
  compare(findings, "a product with a matrix whose blocks the caller let go", expected,
          bench.floats(out, rows * n), tolerance);
  return findings;
}

// The last block of a plain matrix and of one of experts; quantized ones by their scale.
Findings refuses_weights_that_are_not_finite(const BackendKind& kind) {
  Findings findings;
  const int64_t n = 256;
  for (const DType type : {DType::f32, DType::bf16, DType::q8_0, DType::q4_0, DType::iq2_s})
    for (const int64_t count : {1, 3}) {
      const StoredWeights w = cpu::can_quantize(type)
                                  ? StoredWeights(type, count, n, n, grid_floats(count * n * n, 1))
                                  : StoredWeights(type, count, n, n, 1);
      const size_t size = block_shape(type).bytes, bytes = row_bytes(type, count * n * n);
      const std::shared_ptr<std::byte[]> spoilt(new std::byte[bytes]);
      std::memcpy(spoilt.get(), w.blocks.get(), bytes);
      const uint32_t infinity = type == DType::f32    ? 0x7f800000
                                : type == DType::bf16 ? 0x7f80
                                                      : 0x7c00;
      std::memcpy(spoilt.get() + bytes - size, &infinity, type == DType::f32 ? 4 : 2);
      const std::string what = std::to_string(count) + " of " + dtype_name(type);
      try {
        BackendBench bench(kind);
        bench->load_matrix({spoilt, spoilt.get()}, type, count, n, n, Care::usual);
        findings.push_back("an infinity was loaded: " + what);
      } catch (const Fault& fault) {
        const std::string row = "row " + std::to_string(count * n - 1);
        expect(findings, fault.kind() == FaultKind::input, "it is no fault of the input: " + what);
        expect(findings, fault.text().find(row) != std::string::npos,
               what + ": \"" + fault.text() + "\" lacks " + row);
        expect(findings, fault.text().find("inf") != std::string::npos,
               what + ": \"" + fault.text() + "\" lacks the value");
      }
    }
  return findings;
}

Findings refuses_memory_as_a_fault(const BackendKind& kind) {
  Findings findings;
  BackendBench bench(kind);
  const Tensor kept = bench.put(numbered(1));
  try {
    bench->allocate(size_t{1} << 60);
    findings.push_back("2^60 bytes were allocated");
  } catch (const Fault& fault) {
    expect(findings, fault.kind() == FaultKind::memory, "the refusal is no Fault{memory}");
  } catch (const std::exception& error) {
    findings.push_back(std::string("the refusal is no Fault, but ") + error.what());
  }
  compare(findings, "a tensor from before", numbered(1), bench.floats(kept, kCount));
  compare(findings, "a tensor from after", numbered(2),
          bench.floats(bench.put(numbered(2)), kCount));
  return findings;
}

}  // namespace

std::vector<BackendCheck> memory_checks() {
  return {{"SaysWhatItIs", says_what_it_is},
          {"AllocatesZeros", allocates_zeros},
          {"UploadTakesTheBytes", upload_takes_the_bytes},
          {"LoadVectorTakesTheValues", load_vector_takes_the_values},
          {"FillSetsItsRange", fill_sets_its_range},
          {"CopyMovesItsRange", copy_moves_its_range},
          {"WaitEndsDownloads", wait_ends_downloads},
          {"WaitEndsPacking", wait_ends_packing},
          {"WaitEndsUnpacking", wait_ends_unpacking},
          {"LoadMatrixHoldsItsBlocks", load_matrix_holds_its_blocks},
          {"RefusesWeightsThatAreNotFinite", refuses_weights_that_are_not_finite},
          {"RefusesMemoryAsAFault", refuses_memory_as_a_fault}};
}

}  // namespace potluck
