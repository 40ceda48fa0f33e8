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
  // Bytes [offset, offset + bytes); CHECKs that they are within the file. Throws Fault{world} if
  // the file has been written to since it was opened, unless it may be filled.
  TensorBytes map(uint64_t offset, uint64_t bytes) const;
  // It is a partial copy, whose holes another process may fill while it is open here.
  void may_be_filled() { filled_ = true; }
  void drop_cached() const;  // as ModelSource's

 private:
  void check_unchanged() const;

  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  int64_t written_ns_ = 0;
  bool filled_ = false;
};

// The path of the file that is mapped at this address, cut after 200 bytes; nullptr: none is. For a
// signal handler: who cuts a file off while it is mapped makes reading it a SIGBUS.
const char* mapped_path_at(const void* address);

// The whole file as text, refused by name above `limit` bytes.
std::string read_text_file(const std::string& path, uint64_t limit);
// The same of what may be a pipe as well (`<(…)`), and of stdin. Both are read to their ends, and
// no further than the limit.
std::string read_text_or_pipe(const std::string& path, uint64_t limit);
std::string read_stdin(uint64_t limit);

}  // namespace potluck
