// Writes a file beside the one that it replaces, and gives it that one's name.
#include "topology/base/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "topology/base/descriptor.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kModeBits = 07777, kNewMode = 0666;

[[noreturn]] void fail(const std::string& path, const char* what) {
  const int error = errno;
  std::error_code none;
  throw Fault(FaultKind::world, std::string(what) + " failed: " + std::strerror(error),
              Fix{fs::exists(path, none) ? "the file is as it was"
                                         : "name a file in a folder that can be written to"},
              path);
}

// The mode that a new file gets where nobody says another.
mode_t new_mode() {
  const mode_t masked = umask(0);
  umask(masked);
  return kNewMode & ~masked;
}

// A file beside the one that it will replace; it goes if it does not come to that.
class FileBeside final {
 public:
  explicit FileBeside(const std::string& path) : path_(path), beside_(path + ".XXXXXX") {
    file_ = mkstemp(beside_.data());
    if (file_ < 0) fail(path_, "making a file beside it");
  }
  ~FileBeside() {
    close(file_);
    if (!placed_) unlink(beside_.c_str());
  }
  FileBeside(const FileBeside&) = delete;
  FileBeside& operator=(const FileBeside&) = delete;

  void replace_by(const std::string& text, mode_t mode) {
    if (fchmod(file_, mode) != 0) fail(path_, "keeping its mode");
    if (!write_whole(file_, text)) fail(path_, "writing");
    if (rename(beside_.c_str(), path_.c_str()) != 0) fail(path_, "replacing it");
    placed_ = true;
  }

 private:
  std::string path_, beside_;
  int file_ = -1;
  bool placed_ = false;
};

// A pipe or a device has no mode to keep, and nothing may take its place.
void write_through(const std::string& path, const std::string& text) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) fail(path, "opening");
  // A pipe cannot be synchronized to a disk, which is no failure.
  if (!write_whole(file.get(), text) && errno != EINVAL && errno != EROFS) fail(path, "writing");
}

}  // namespace

void write_whole_file(const std::string& path, const std::string& text) {
  struct stat old {};
  const bool there = stat(path.c_str(), &old) == 0;
  if (there && !S_ISREG(old.st_mode)) return write_through(path, text);
  const std::string target = there ? fs::canonical(path).string() : path;
  FileBeside(target).replace_by(text, there ? old.st_mode & kModeBits : new_mode());
}

}  // namespace potluck
