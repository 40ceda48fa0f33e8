// Fills a partial copy (topology/model/partial_copy.h) piece by piece.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "topology/hub/file_writer.h"
#include "topology/hub/model_files.h"
#include "topology/model/partial_copy.h"

namespace potluck {

class PartialWriter final {
 public:
  // Opens the copy at this path, or begins one of `file`. Throws Fault{input} for a copy of another
  // file and for a whole one, and Fault{world} while another process writes to it.
  PartialWriter(const std::string& path, const ModelFile& file, const std::string& origin);

  const PartialCopy& copy() const { return copy_; }
  const std::string& path() const { return path_; }
  // Puts bytes into their place, where nothing is yet, and then into the list.
  void add(uint64_t offset, std::span<const std::byte> bytes);
  // Forgets the pieces whose bytes on the disk have changed since they came, and returns how many.
  int drop_damaged();
  void sync();  // returns when the disk has all of it
  // The parts of the range that are not there.
  std::vector<ByteRange> missing(ByteRange range) const;

 private:
  void append(const std::string& line);

  std::string path_;
  FileWriter list_;
  std::optional<FileWriter> data_;
  PartialCopy copy_;
};

}  // namespace potluck
