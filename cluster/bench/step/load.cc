// Measures reading the model's file and touching fresh memory, which a load does both.
#include "cluster/bench/step/load.h"

#include <algorithm>

#include "kernels/cpu/fast/peaks.h"
#include "kernels/cpu/machine/thread_pool.h"

namespace potluck {
namespace {

struct Read {
  double bytes = 0, seconds = 0;
};

// Reads the first tensors, kLoadBytes of them.
Read read_tensors(const ModelSource& source, cpu::ThreadPool& pool) {
  Read read;
  for (const TensorInfo& tensor : source.tensors()) {
    if (read.bytes >= kLoadBytes) break;
    const TensorBytes bytes = source.map(tensor);
    const auto count = tensor.bytes;
    read.seconds += count / cpu::read_rate(bytes.get(), tensor.bytes, pool);
    read.bytes += count;
  }
  return read;
}

}  // namespace

double LoadRates::slower() const {
  return std::min(file_gb_per_s, to_card_gb_per_s > 0 ? to_card_gb_per_s : touch_gb_per_s);
}

double file_rate(const ModelSource& source, int threads, bool cold) {
  cpu::ThreadPool pool(threads);
  if (cold)
    source.drop_cached();
  else
    read_tensors(source, pool);
  const Read read = read_tensors(source, pool);
  if (cold) source.drop_cached();
  return read.bytes / read.seconds;
}

double touch_rate(const ModelSource& source, int threads, uint64_t bytes_free) {
  cpu::ThreadPool pool(threads);
  uint64_t stored = 0;
  for (const TensorInfo& tensor : source.tensors()) stored += tensor.bytes;
  const uint64_t bytes = std::min({stored, kLoadBytes, bytes_free / 2});
  cpu::touch_rate(bytes, pool);
  return cpu::touch_rate(bytes, pool);
}

}  // namespace potluck
