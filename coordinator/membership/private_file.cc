// A text is written beside its place and moved there; the lock is the folder's own.
#include "coordinator/membership/private_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "topology/base/descriptor.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

[[noreturn]] void failed(const std::string& what, const std::string& path) {
  throw Fault(FaultKind::world, "cannot " + what + " " + path + ": " + std::strerror(errno),
              Fix{"set XDG_STATE_HOME to a folder of yours that can be written to"});
}

void check_private(int fd, const std::string& path) {
  struct stat status {};
  if (fstat(fd, &status) != 0) failed("look at", path);
  if (!S_ISREG(status.st_mode))
    throw Fault(FaultKind::input, path + " is no file", Fix{"remove it"});
  if (status.st_uid != geteuid() || status.st_mode & kOthers)
    throw Fault(FaultKind::input, path + " can be read by others", Fix{"chmod 600 it"});
  if (status.st_size > static_cast<off_t>(kPrivateBytesMax))
    throw Fault(FaultKind::world, path + " is larger than such a file can be", Fix{"remove it"});
}

std::string all_of(int fd, const std::string& path) {
  std::string text;
  char piece[65536];
  while (true) {
    const ssize_t bytes = ::read(fd, piece, sizeof(piece));
    if (bytes < 0) failed("read", path);
    if (bytes == 0) return text;
    text.append(piece, static_cast<size_t>(bytes));
  }
}

}  // namespace

void make_private_folder(const std::string& folder) {
  if (folder.empty())
    throw Fault(FaultKind::world, "there is no place for what potluck has to remember",
                Fix{"set HOME, or XDG_STATE_HOME to a folder of yours"});
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), error);
  if (mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) failed("make the folder", folder);
}

PrivateFile::PrivateFile(std::string folder, const std::string& name)
    : folder_(std::move(folder)), path_(folder_ + "/" + name) {}

std::optional<std::string> PrivateFile::read() const {
  const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    if (errno == ENOENT) return std::nullopt;
    failed("read", path_);
  }
  check_private(file.get(), path_);
  return all_of(file.get(), path_);
}

void PrivateFile::change(
    const std::function<std::string(const std::optional<std::string>& text)>& edit) const {
  make_private_folder(folder_);
  const Descriptor lock(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.get() < 0 || flock(lock.get(), LOCK_EX) != 0) failed("lock the folder", folder_);
  write(edit(read()));
}

void PrivateFile::write(const std::string& text) const {
  std::string beside = path_ + ".XXXXXX";
  const Descriptor file(mkostemp(beside.data(), O_CLOEXEC));  // its permissions are 0600
  if (file.get() < 0) failed("write", path_);
  try {
    if (!write_whole(file.get(), text) || rename(beside.c_str(), path_.c_str()) != 0)
      failed("write", path_);
  } catch (const Fault&) {
    unlink(beside.c_str());
    throw;
  }
}

void PrivateFile::remove() const {
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) failed("remove", path_);
}

}  // namespace potluck
