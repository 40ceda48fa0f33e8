// An open file: its size, and read-only mappings of parts of it.
#pragma once

#include <cstdint>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

class MappedFile final {
 public:
  // Throws Fault{input} naming the path if it cannot be opened, or is no file; never waits.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  // Bytes [offset, offset + bytes); CHECKs that they are within the file.
  TensorBytes map(uint64_t offset, uint64_t bytes) const;
  void drop_cached() const;  // as ModelSource's

 private:
  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// The whole file as text, refused by name above `limit` bytes.
std::string read_text_file(const std::string& path, uint64_t limit);
// The same of what may be a pipe as well (`<(…)`), and of stdin. Both are read to their ends, and
// no further than the limit.
std::string read_text_or_pipe(const std::string& path, uint64_t limit);
std::string read_stdin(uint64_t limit);

}  // namespace potluck
