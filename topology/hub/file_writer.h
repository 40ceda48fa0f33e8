// A file that is written in places; every failure is a Fault{world} that names the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace potluck {

class FileWriter final {
 public:
  // Opens the file for reading and writing, makes it and its folders if they are not there, and
  // waits for nothing.
  explicit FileWriter(const std::string& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const;
  void resize(uint64_t bytes);
  void write(uint64_t offset, std::span<const std::byte> bytes);
  // Hands on [offset, offset + bytes), which must be within the file, in steps.
  void read(uint64_t offset, uint64_t bytes,
            const std::function<void(std::span<const std::byte>)>& sink) const;
  void sync();      // returns when the disk has it
  bool try_lock();  // false while another process holds it; let go with this object

 private:
  [[noreturn]] void refuse(const std::string& what) const;

  std::string path_;
  int descriptor_ = -1;
};

// Throws Fault{world} unless the disk of `folder` has room for so many bytes more; folder need not
// be there yet.
void check_disk(const std::string& folder, uint64_t bytes);

}  // namespace potluck
