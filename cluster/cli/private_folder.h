// PrivateFolder: a folder for the sockets of local workers, which nobody but this user can enter.
#pragma once

#include <sys/types.h>

#include <string>

namespace potluck {

// Its permissions are 0700, and it lies in TMPDIR, or else in /tmp. It goes with all that is in it
// when this object does, and when this process dies without a word: a shell waits for that.
class PrivateFolder final {
 public:
  PrivateFolder();  // throws Fault{world}
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  void start_janitor();

  std::string path_;
  int alive_ = -1;  // a pipe's end that closes when this process dies
  pid_t janitor_ = -1;
};

}  // namespace potluck
