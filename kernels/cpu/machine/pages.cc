// Maps anonymous memory, from a huge page's address on where it is large enough for one.
#include "kernels/cpu/machine/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "topology/base/fault.h"

namespace potluck::cpu {

namespace {

std::byte* map_bytes(size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    throw Fault(FaultKind::memory,
                "cannot allocate " + std::to_string(bytes) + " bytes of host memory");
  return static_cast<std::byte*>(data);
}

size_t round_up(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// The mapping begins at a huge page's address. By itself the system aligns only whole numbers of
// huge pages: it would give none to 2.9 MB. Huge pages are a wish; 4 KB pages serve too.
std::byte* map_huge(size_t bytes) {
  const size_t length = round_up(bytes, sysconf(_SC_PAGESIZE));
  std::byte* all = map_bytes(length + Pages::kHugePage);
  const size_t before = round_up(reinterpret_cast<uintptr_t>(all), Pages::kHugePage) -
                        reinterpret_cast<uintptr_t>(all);
  if (before > 0) munmap(all, before);
  if (before < Pages::kHugePage) munmap(all + before + length, Pages::kHugePage - before);
  madvise(all + before, length, MADV_HUGEPAGE);
  return all + before;
}

}  // namespace

Pages::Pages(size_t bytes)
    : data_(bytes < kHugePage ? map_bytes(bytes < 1 ? 1 : bytes) : map_huge(bytes)),
      bytes_(bytes < 1 ? 1 : bytes) {}

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
  const auto page = sysconf(_SC_PAGESIZE);
  const size_t parts = (bytes_ + kHugePage - 1) / kHugePage;
  pool.for_each(parts, [&](int64_t part, int) {
    const size_t begin = part * kHugePage;
    const size_t end = begin + kHugePage < bytes_ ? begin + kHugePage : bytes_;
    for (size_t i = begin; i < end; i += page) static_cast<volatile std::byte*>(data_)[i] = {};
  });
}

}  // namespace potluck::cpu
