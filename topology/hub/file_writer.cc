// Writes, reads and locks one file.
#include "topology/hub/file_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

constexpr uint64_t kStepBytes = 1 << 20;  // read at a time
constexpr char kMakeRoom[] = "make room there; what has arrived is kept";

}  // namespace

FileWriter::FileWriter(const std::string& path) : path_(path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
  if (descriptor_ < 0) refuse("open");
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) close(descriptor_);
}

void FileWriter::refuse(const std::string& what) const {
  throw Fault(FaultKind::world, "cannot " + what + " " + path_ + ": " + std::strerror(errno),
              Fix{errno == ENOSPC || errno == EDQUOT ? kMakeRoom : ""});
}

uint64_t FileWriter::size() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) refuse("look at");
  return status.st_size;
}

void FileWriter::resize(uint64_t bytes) {
  if (ftruncate(descriptor_, bytes) != 0) refuse("resize");
}

void FileWriter::write(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) refuse("write");
    bytes = bytes.subspan(written);
    offset += written;
  }
}

void FileWriter::read(uint64_t offset, uint64_t bytes,
                      const std::function<void(std::span<const std::byte>)>& sink) const {
  std::vector<std::byte> step(std::min(bytes, kStepBytes));
  for (const uint64_t end = offset + bytes; offset < end;) {
    const ssize_t came =
        pread(descriptor_, step.data(), std::min<uint64_t>(step.size(), end - offset), offset);
    if (came < 0 && errno == EINTR) continue;
    if (came <= 0) refuse("read");
    sink(std::span(step).first(came));
    offset += came;
  }
}

void FileWriter::sync() {
  if (fsync(descriptor_) != 0) refuse("write");
}

bool FileWriter::try_lock() {
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK) refuse("lock");
  return false;
}

void check_disk(const std::string& folder, uint64_t bytes) {
  std::error_code error;
  std::filesystem::path there = std::filesystem::absolute(folder, error);
  while (!std::filesystem::exists(there, error) && there.has_relative_path())
    there = there.parent_path();
  const std::filesystem::space_info space = std::filesystem::space(there, error);
  if (error || space.available >= bytes) return;  // a disk that does not tell is tried
  throw Fault(FaultKind::world,
              folder + " needs " + bytes_text(bytes) + ", its disk has " +
                  bytes_text(space.available) + " free",
              Fix{"make room there, or take another disk (HF_HOME or XDG_CACHE_HOME for a cache, "
                  "--to for a partial copy)"});
}

}  // namespace potluck
