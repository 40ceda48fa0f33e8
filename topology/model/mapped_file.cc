// Maps parts of files into memory.
#include "topology/model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {

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
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

MappedFile::~MappedFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

TensorBytes MappedFile::map(uint64_t offset, uint64_t bytes) const {
  CHECK(offset <= size_ && bytes <= size_ - offset, offset, bytes, size_);
  if (bytes == 0) return nullptr;
  const uint64_t page = sysconf(_SC_PAGESIZE);
  const uint64_t start = offset / page * page, length = offset + bytes - start;
  void* base = mmap(nullptr, length, PROT_READ, MAP_PRIVATE, descriptor_, start);
  if (base == MAP_FAILED)
    throw Fault(FaultKind::world, "cannot map " + path_ + ": " + std::strerror(errno));
  const auto unmap = [base, length](const std::byte*) { munmap(base, length); };
  return {static_cast<const std::byte*>(base) + (offset - start), unmap};
}

void MappedFile::drop_cached() const {
  posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
}

namespace {

std::string read_to_end(int descriptor, const std::string& name, uint64_t limit) {
  std::string text, part(1 << 16, 0);
  for (;;) {
    const ssize_t n = read(descriptor, part.data(), part.size());
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
