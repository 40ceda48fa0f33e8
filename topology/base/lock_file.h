// LockFile: says by a lock on a file that a process lives, and which one: the kernel lets go of it
// however that ends. Who looks takes the lock for a moment, too, so that taking it is tried for
// longer than that.
#pragma once

#include <sys/types.h>

#include <string>

namespace potluck {

class LockFile final {
 public:
  explicit LockFile(std::string path) : path_(std::move(path)) {}
  ~LockFile();  // lets go of it, as soon as processes that this one forked have too
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  // Takes it for this process and those that it forks; false: another one has it, or its file or
  // folder was removed meanwhile. The file is made if there is none, and names nobody yet. Throws
  // Fault{world}.
  bool take();
  bool is_taken() const { return fd_ >= 0; }
  // Says which process signals are for. Throws Fault{world}.
  void belongs_to(pid_t process) const;
  // Takes the file away; who has the lock calls it. Another process may have it anew at once.
  void remove();

  // Whether any process has it.
  bool is_held() const;
  // The process that has it; 0: there is none, or it has not said so yet.
  pid_t owner() const;
  // Sends a signal to the process that has it, and to no other, whatever its number is by now.
  // False: nobody has it, or it has not said who it is. Throws Fault{world} if it may not be
  // signaled.
  bool signal_owner(int signal) const;

 private:
  const std::string path_;
  int fd_ = -1;
};

}  // namespace potluck
