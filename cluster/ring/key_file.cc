// A key is written beside its place and moved there whole, so that two programs that start at once
// come by the same one, and a full disk leaves the old one.
#include "cluster/ring/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "topology/base/descriptor.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"

namespace potluck {
namespace {

constexpr char kFirstLine[] =
    "# The secret key of this machine, for potluck alone: let nobody read it.\n";
constexpr size_t kBytesMax = 4096;
constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

[[noreturn]] void failed(const std::string& what, const std::string& path) {
  throw Fault(FaultKind::world, "cannot " + what + " " + path + ": " + std::strerror(errno),
              Fix{"set XDG_CONFIG_HOME to a folder of yours that can be written to"});
}

void check_private(int fd, const std::string& path) {
  struct stat status {};
  if (fstat(fd, &status) != 0) failed("look at the key file", path);
  if (!S_ISREG(status.st_mode))
    throw Fault(FaultKind::input, "the key file " + path + " is no file", Fix{"remove it"});
  if (status.st_uid != geteuid() || status.st_mode & kOthers)
    throw Fault(FaultKind::input, "the key file " + path + " can be read by others",
                Fix{"chmod 600 it, or, if somebody may have read it, make a new key: potluck key "
                    "--new --force"});
}

std::string text_of(int fd, const std::string& path) {
  std::string text(kBytesMax + 1, '\0');
  const ssize_t bytes = ::read(fd, text.data(), text.size());
  if (bytes < 0) failed("read the key file", path);
  text.resize(static_cast<size_t>(bytes));
  return text;
}

// The one line that is no comment; empty if there is another number of them.
std::string only_line(const std::string& text) {
  std::string found;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line[0] == '#') continue;
    if (!found.empty()) return "";
    found = line;
  }
  return found;
}

void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), error);
  if (mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) failed("make the folder", folder);
}

}  // namespace

bool KeyFile::exists() const {
  struct stat status {};
  return lstat(path().c_str(), &status) == 0;
}

LockKeys KeyFile::read() const {
  const Descriptor file(open(path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) failed("read the key file", path());
  check_private(file.get(), path());
  const std::string key = only_line(text_of(file.get(), path()));
  if (!is_key(key))
    throw Fault(FaultKind::input, "the key file " + path() + " is damaged",
                Fix{"restore it, or make a new key, which others then have to be told: potluck key "
                    "--new --force"});
  return lock_keys_of(key);
}

LockKeys KeyFile::read_or_make() const {
  return exists() ? read() : make(false);
}

LockKeys KeyFile::replace() const {
  return make(true);
}

LockKeys KeyFile::make(bool in_place_of_another) const {
  if (folder_.empty())
    throw Fault(FaultKind::world, "there is no place for this machine's key",
                Fix{"set HOME, or XDG_CONFIG_HOME to a folder of yours"});
  const LockKeys keys = make_lock_keys();
  make_folder(folder_);
  std::string beside = path() + ".XXXXXX";
  const Descriptor file(mkostemp(beside.data(), O_CLOEXEC));  // its permissions are 0600
  if (file.get() < 0) failed("write", path());
  bool placed = false, taken = false;
  try {
    if (!write_whole(file.get(), kFirstLine + keys.secret_key + "\n")) failed("write", path());
    placed = in_place_of_another ? rename(beside.c_str(), path().c_str()) == 0
                                 : link(beside.c_str(), path().c_str()) == 0;
    taken = !placed && errno == EEXIST;
    if (!placed && !taken) failed("write", path());
  } catch (const Fault&) {
    unlink(beside.c_str());
    throw;
  }
  unlink(beside.c_str());
  return taken ? read() : keys;  // another program was faster
}

}  // namespace potluck
