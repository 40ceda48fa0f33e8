// Measures reading the model's file and touching fresh memory, which a load does both.
#include "cluster/bench/step/load.h"

#include <algorithm>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/fast/peaks.h"

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

LoadRates load_rates(const ModelSource& source, int threads, uint64_t bytes_free, bool cold) {
  cpu::ThreadPool pool(threads);
  if (cold)
    source.drop_cached();
  else
    read_tensors(source, pool);
  const Read read = read_tensors(source, pool);
  const uint64_t bytes = read.bytes;
  const uint64_t touched = std::min({bytes, kLoadBytes, bytes_free / 2});
  cpu::touch_rate(touched, pool);
  LoadRates rates;
  rates.file_gb_per_s = read.bytes * 1e-9 / read.seconds;
  rates.touch_gb_per_s = cpu::touch_rate(touched, pool) * 1e-9;
  if (cold) source.drop_cached();
  return rates;
}

}  // namespace potluck
