// The files of a model that lie elsewhere, read by ranges of bytes. A hub is one such place
// (hub_files.h), a file or folder that is mounted here another (local_files.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "topology/base/clock.h"

namespace potluck {

struct ByteRange {
  uint64_t begin = 0, bytes = 0;  // bytes > 0
};

using ByteSink = std::function<void(std::span<const std::byte>)>;

struct ModelFile {
  std::string name;  // the path within the model's folder
  uint64_t bytes = 0;
  std::string checksum;  // hex: SHA-256 has 64 digits, git's SHA-1 40; empty: none is known
};

// How a read ended that throws nothing.
struct ReadEnd {
  std::string broken;  // why it ended too early, where trying again may help; empty: it is complete
  Duration wait{0};    // before which the other side wants no new try
};

class ModelFiles {
 public:
  virtual ~ModelFiles() = default;
  virtual const std::vector<ModelFile>& files() const = 0;
  virtual std::string name() const = 0;  // "hf:OWNER/REPO", as a message names the place
  // Hands on the bytes of files()[file] in order as they come. Throws Fault for what trying again
  // does not mend.
  virtual ReadEnd read(size_t file, ByteRange range, const ByteSink& sink) = 0;
};

}  // namespace potluck
