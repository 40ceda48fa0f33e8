// Maps parts of files into memory.
#include "topology/model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {

namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;

int64_t written_ns(const struct stat& status) {
  return status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec;
}

// A mapping that exists now. There are seldom more than two at a time; what finds no place in the
// table is not known to mapped_path_at().
struct Place {
  std::atomic<bool> taken{false};
  std::atomic<uintptr_t> begin{0}, end{0};
  char path[201] = {};
};
Place mapped_places[64];

Place* note(const void* base, uint64_t bytes, const std::string& path) {
  for (Place& place : mapped_places) {
    if (place.taken.exchange(true)) continue;
    path.copy(place.path, sizeof(place.path) - 1);
    place.path[std::min(path.size(), sizeof(place.path) - 1)] = 0;
    place.begin = reinterpret_cast<uintptr_t>(base);
    place.end = place.begin + bytes;
    return &place;
  }
  return nullptr;
}

void forget(Place* place) {
  if (!place) return;
  place->begin = place->end = 0;
  place->taken = false;
}

}  // namespace

const char* mapped_path_at(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (const Place& place : mapped_places)
    if (place.begin <= at && at < place.end) return place.path;
  return nullptr;
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0)
    throw Fault(FaultKind::input, "cannot open " + path + ": " + std::strerror(errno));
  struct stat status;
  if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor_);
    const char* fix = S_ISFIFO(status.st_mode)
                          ? "it is read in parts, which a pipe cannot give: save it as a file"
                          : "";
    throw Fault(FaultKind::input, path + " is not a regular file", Fix{fix});
  }
  size_ = status.st_size;
  written_ns_ = written_ns(status);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      written_ns_(other.written_ns_),
      filled_(other.filled_) {}

MappedFile::~MappedFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

TensorBytes MappedFile::map(uint64_t offset, uint64_t bytes) const {
  CHECK(offset <= size_ && bytes <= size_ - offset, offset, bytes, size_);
  check_unchanged();
  if (bytes == 0) return nullptr;
  const uint64_t page = sysconf(_SC_PAGESIZE);
  const uint64_t start = offset / page * page, length = offset + bytes - start;
  void* base = mmap(nullptr, length, PROT_READ, MAP_PRIVATE, descriptor_, start);
  if (base == MAP_FAILED)
    throw Fault(FaultKind::world, "cannot map " + path_ + ": " + std::strerror(errno));
  const auto unmap = [base, length, place = note(base, length, path_)](const std::byte*) {
    forget(place);
    munmap(base, length);
  };
  return {static_cast<const std::byte*>(base) + (offset - start), unmap};
}

void MappedFile::check_unchanged() const {
  struct stat status {};
  if (fstat(descriptor_, &status) == 0 && (filled_ || written_ns(status) == written_ns_) &&
      static_cast<uint64_t>(status.st_size) == size_)
    return;
  throw Fault(FaultKind::world, path_ + " changed while it was in use",
              Fix{"start again when nothing writes to it"});
}

void MappedFile::drop_cached() const {
  posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
}

namespace {

std::string read_to_end(int descriptor, const std::string& name, uint64_t limit) {
  std::string text, part(1 << 16, 0);
  for (;;) {
    const ssize_t n = ::read(descriptor, part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Fault(FaultKind::input, "cannot read " + name + ": " + std::strerror(errno));
    if (n == 0) return text;
    text.append(part, 0, n);
    if (text.size() > limit)
      throw Fault(FaultKind::input, name + " has more than " + std::to_string(limit) + " bytes",
                  Fix{"potluck reads no more than that"});
  }
}

}  // namespace

std::string read_text_or_pipe(const std::string& path, uint64_t limit) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    throw Fault(FaultKind::input, "cannot open " + path + ": " + std::strerror(errno));
  const std::shared_ptr<void> closed(nullptr, [descriptor](void*) { close(descriptor); });
  return read_to_end(descriptor, path, limit);
}

std::string read_stdin(uint64_t limit) {
  return read_to_end(STDIN_FILENO, "stdin", limit);
}

std::string read_text_file(const std::string& path, uint64_t limit) {
  const MappedFile file(path);
  if (file.size() > limit)
    throw Fault(FaultKind::input, path + " has " + std::to_string(file.size()) + " bytes",
                Fix{"potluck reads at most " + std::to_string(limit)});
  const TensorBytes bytes = file.map(0, file.size());
  return {reinterpret_cast<const char*>(bytes.get()), file.size()};
}

}  // namespace potluck
