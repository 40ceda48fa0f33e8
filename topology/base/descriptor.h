// Descriptor: an open file of this process, closed with it; and whole writes to one.
#pragma once

#include <string>

namespace potluck {

class Descriptor final {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}  // -1: none
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// Writes all of the text, and waits until it is on the disk. False: errno says what failed.
bool write_whole(int fd, const std::string& text);

}  // namespace potluck
