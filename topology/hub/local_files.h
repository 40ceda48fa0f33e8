// A model's files that are on this machine's disks or mounted there, to be copied from.
#pragma once

#include <optional>

#include "topology/hub/model_files.h"
#include "topology/model/mapped_file.h"
#include "topology/model/partial_copy.h"

namespace potluck {

class LocalFiles final : public ModelFiles {
 public:
  // path: a .gguf file (any part of a split one) or a safetensors folder.
  explicit LocalFiles(const std::string& path);
  const std::vector<ModelFile>& files() const override { return files_; }
  std::string name() const override { return path_; }
  ReadEnd read(size_t file, ByteRange range, const ByteSink& sink) override;

 private:
  struct Opened {
    MappedFile file;
    std::optional<PartialCopy> partial;
  };
  std::string path_;
  std::vector<Opened> opened_;
  std::vector<ModelFile> files_;
};

// The files of a checkpoint that potluck reads, among these names; sorted.
std::vector<std::string> checkpoint_names(std::vector<std::string> names);

}  // namespace potluck
