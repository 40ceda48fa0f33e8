#include "kernels/cpu/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "topology/fault.h"

namespace potluck::cpu {

Pages::Pages(size_t bytes) : bytes_(bytes < 1 ? 1 : bytes) {
  void* data = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    throw Fault(FaultKind::memory,
                "cannot allocate " + std::to_string(bytes) + " bytes of host memory");
  if (bytes_ >= kHugePage) madvise(data, bytes_, MADV_HUGEPAGE);  // a wish: 4 KB pages serve too
  data_ = static_cast<std::byte*>(data);
}

Pages::~Pages() {
  if (data_) munmap(data_, bytes_);
}

Pages::Pages(Pages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void Pages::touch(ThreadPool& pool) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t parts = (bytes_ + kHugePage - 1) / kHugePage;
  pool.for_each(static_cast<int64_t>(parts), [&](int64_t part, int) {
    const size_t begin = static_cast<size_t>(part) * kHugePage;
    const size_t end = begin + kHugePage < bytes_ ? begin + kHugePage : bytes_;
    for (size_t i = begin; i < end; i += page) static_cast<volatile std::byte*>(data_)[i] = {};
  });
}

}  // namespace potluck::cpu
