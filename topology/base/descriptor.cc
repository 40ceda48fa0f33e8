// The kernel may take a text in pieces, and a signal may come between.
#include "topology/base/descriptor.h"

#include <unistd.h>

#include <cerrno>

namespace potluck {

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

bool write_whole(int fd, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t bytes = write(fd, text.data() + at, text.size() - at);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return false;
    at += static_cast<size_t>(bytes);
  }
  return fsync(fd) == 0;
}

}  // namespace potluck
