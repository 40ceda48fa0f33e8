// Fetches headers first, learns from them where the wished tensors lie, and fetches those.
#include "topology/hub/stage_copy.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>

#include "topology/base/fault.h"
#include "topology/hub/checksum.h"
#include "topology/hub/partial_writer.h"
#include "topology/model/gguf.h"
#include "topology/model/gguf_reader.h"
#include "topology/model/locator.h"
#include "topology/model/mapped_file.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

// A header's length is in the header. It is asked for in steps of an eighth, so that little comes
// that nobody wants: the released model's has 16 MB.
constexpr uint64_t kHeaderStep = 4 << 10;
// A piece is what is lost when the program is killed. There are some thousands in a copy, and
// 32,768 in one of 16 GB.
constexpr uint64_t kPieceLeast = 1 << 10, kPieceMost = 512 << 10, kPieces = 4096;
constexpr uint64_t kGapMax = 256;  // padding between tensors that is not worth a request of its own
constexpr char kRopeFactors[] = "rope_freqs.weight";  // belongs to the metadata

bool has_suffix(const std::string& name, const std::string& suffix) {
  return fs::path(name).extension() == suffix;
}

bool is_weights(const ModelFile& file) {
  return has_suffix(file.name, ".gguf") || has_suffix(file.name, ".safetensors");
}

std::vector<ByteRange> joined(std::vector<ByteRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.begin < b.begin; });
  std::vector<ByteRange> all;
  for (const ByteRange& range : ranges) {
    if (all.empty() || range.begin > all.back().begin + all.back().bytes + kGapMax) {
      all.push_back(range);
      continue;
    }
    const uint64_t end = std::max(all.back().begin + all.back().bytes, range.begin + range.bytes);
    all.back().bytes = end - all.back().begin;
  }
  return all;
}

class StageCopier {
 public:
  StageCopier(ModelFiles& from, const std::string& folder, const StageWish& wish,
              const FetchWatch& watch)
      : from_(from), folder_(folder), wish_(wish), watch_(watch) {}

  StageCopy copy() {
    for (size_t i = 0; i < from_.files().size(); ++i) {
      const ModelFile& file = from_.files()[i];
      if (is_weights(file))
        open_weights(i);
      else if (file.name != "tokenizer.json" || wish_.head)
        copy_small(i);
    }
    if (weights_.empty())
      throw Fault(FaultKind::input, from_.name() + " has no .gguf or .safetensors file of a model",
                  Fix{"name a .gguf file, or a folder with config.json and model.safetensors"});
    const auto source = open_model(model_path());
    find_ranges(*source);
    fetch_ranges();
    result_.path = model_path();
    return result_;
  }

 private:
  struct Weights {
    size_t index = 0;  // of from_.files()
    std::unique_ptr<PartialWriter> writer;
    std::vector<ByteRange> wanted;  // of tensors
  };

  std::string path_of(const ModelFile& file) const { return folder_ + "/" + file.name; }

  std::string model_path() const {
    const ModelFile& first = from_.files()[weights_.at(0).index];
    return has_suffix(first.name, ".gguf") ? path_of(first) : folder_;
  }

  // The same file from another place has the same checksum, where it is known.
  std::string origin_of(const ModelFile& file) const {
    if (!file.checksum.empty()) return "sha256:" + file.checksum;
    return file.name + " of " + (wish_.content.empty() ? from_.name() : wish_.content);
  }

  void open_weights(size_t index) {
    const ModelFile& file = from_.files()[index];
    Weights& weights = weights_.emplace_back();
    weights.index = index;
    weights.writer = std::make_unique<PartialWriter>(path_of(file), file, origin_of(file));
    const int damaged = weights.writer->drop_damaged();
    if (damaged)
      watch_.note(path_of(file) + ": " + std::to_string(damaged) +
                  (damaged == 1 ? " piece has" : " pieces have") +
                  " changed on this disk since it came; fetching anew");
    if (has_suffix(file.name, ".gguf"))
      fetch_gguf_header(weights);
    else
      fetch_safetensors_header(weights);
  }

  // Fetches what is missing of the range, piece by piece. What came before a break is kept.
  void fetch(Weights& weights, ByteRange range) {
    for (const ByteRange& missing : weights.writer->missing(range)) {
      std::vector<std::byte> piece;
      uint64_t at = missing.begin;
      const auto put = [&] {
        if (!piece.empty()) weights.writer->add(at, piece);
        at += piece.size();
        piece.clear();
      };
      try {
        fetch_range(from_, weights.index, missing, watch_, [&](std::span<const std::byte> bytes) {
          result_.moved_bytes += bytes.size();
          piece.insert(piece.end(), bytes.begin(), bytes.end());
          if (piece.size() >= piece_bytes_) put();
        });
      } catch (const Fault&) {
        put();
        throw;
      }
      put();
    }
  }

  void fetch_gguf_header(Weights& weights) {
    const ModelFile& file = from_.files()[weights.index];
    const std::vector<ByteRange> missing = weights.writer->missing({0, file.bytes});
    const uint64_t there = missing.empty() ? file.bytes : missing[0].begin;
    for (uint64_t have = std::min(std::max(kHeaderStep, there), file.bytes);;) {
      fetch(weights, {0, have});
      const MappedFile mapped(path_of(file));
      const auto header =
          read_gguf_beginning(mapped.map(0, have).get(), have, file.bytes, path_of(file));
      if (header) {
        result_.stage_bytes += header->header_bytes;
        for (const TensorInfo& tensor : header->tensors)
          if (tensor.name == kRopeFactors) want(weights, tensor.offset, tensor.bytes);
        break;
      }
      have = std::min(have + std::max(kHeaderStep, have / 8), file.bytes);
    }
    for (const ByteRange& range : weights.wanted) fetch(weights, range);
  }

  void fetch_safetensors_header(Weights& weights) {
    const ModelFile& file = from_.files()[weights.index];
    uint64_t bytes = 0;
    if (file.bytes < sizeof(bytes))
      throw Fault(FaultKind::input, file.name + " is too short for safetensors",
                  Fix{"take another repository"}, from_.name());
    fetch(weights, {0, sizeof(bytes)});
    std::memcpy(&bytes, MappedFile(path_of(file)).map(0, sizeof(bytes)).get(), sizeof(bytes));
    if (bytes > file.bytes - sizeof(bytes))
      throw Fault(FaultKind::input, file.name + " is no safetensors file",
                  Fix{"take another repository"}, from_.name());
    fetch(weights, {0, sizeof(bytes) + bytes});
    result_.stage_bytes += sizeof(bytes) + bytes;
  }

  // Files of JSON come whole, under their names once they are right.
  void copy_small(size_t index) {
    const ModelFile& file = from_.files()[index];
    result_.stage_bytes += file.bytes;
    std::error_code error;
    if (fs::exists(path_of(file), error) && fs::file_size(path_of(file), error) == file.bytes)
      return;
    const std::string fresh = path_of(file) + ".incomplete";
    FileWriter to(fresh);
    to.resize(0);
    Checksum checksum(file.checksum.size() == 64 ? ChecksumKind::sha256 : ChecksumKind::git_sha1,
                      file.bytes);
    fetch_range(from_, index, {0, file.bytes}, watch_, [&](std::span<const std::byte> bytes) {
      to.write(to.size(), bytes);
      checksum.add(bytes);
      result_.moved_bytes += bytes.size();
    });
    if (!file.checksum.empty() && checksum.text() != file.checksum)
      throw Fault(FaultKind::world, file.name + " does not have the checksum " + file.checksum,
                  Fix{"a byte changed on the way: give the same command again"}, from_.name());
    fs::rename(fresh, path_of(file), error);
    if (error)
      throw Fault(FaultKind::world, "cannot write " + path_of(file) + ": " + error.message());
  }

  void want(Weights& weights, uint64_t offset, uint64_t bytes) {
    weights.wanted.push_back({offset, bytes});
    result_.stage_bytes += bytes;
  }

  void want_tensors(const ModelSource& source, const std::vector<TensorNeed>& needs) {
    for (const TensorNeed& need : needs) {
      const TensorInfo* tensor = find_tensor(source, need.name);
      if (!tensor) continue;
      if (tensor->stretches.empty())
        want(weights_.at(file_index(tensor->file)), tensor->offset, tensor->bytes);
      for (const Stretch& stretch : tensor->stretches)
        want(weights_.at(file_index(stretch.file)), stretch.offset, stretch.bytes);
    }
  }

  void find_ranges(const ModelSource& source) {
    const int count = source.spec().layer_count();
    const LayerRange layers = wish_.layers;
    if (layers.begin < 0 || layers.begin > layers.end || layers.end > count)
      throw Fault(FaultKind::input,
                  "the model has layers 0:" + std::to_string(count) + ", not " + range_text(layers),
                  Fix{"ask for some of those (--layers)"});
    for (int layer = layers.begin; layer < layers.end; ++layer)
      want_tensors(source, layer_tensors(source.spec(), layer));
    if (wish_.head) want_tensors(source, head_tensors(source.spec()));
  }

  void fetch_ranges() {
    uint64_t missing = 0;
    for (Weights& weights : weights_) {
      weights.wanted = joined(std::move(weights.wanted));
      for (const ByteRange& range : weights.wanted)
        for (const ByteRange& part : weights.writer->missing(range)) missing += part.bytes;
    }
    check_disk(folder_, missing);
    piece_bytes_ = std::clamp(missing / kPieces, kPieceLeast, kPieceMost);
    watch_.expected(missing);
    for (Weights& weights : weights_) {
      for (const ByteRange& range : weights.wanted) fetch(weights, range);
      weights.writer->sync();
    }
  }

  ModelFiles& from_;
  std::string folder_;
  StageWish wish_;
  const FetchWatch& watch_;
  std::vector<Weights> weights_;  // in the order of the model's files
  uint64_t piece_bytes_ = kPieceLeast;
  StageCopy result_;
};

}  // namespace

StageCopy copy_stage(ModelFiles& from, const std::string& folder, const StageWish& wish,
                     const FetchWatch& watch) {
  return StageCopier(from, folder, wish, watch).copy();
}

}  // namespace potluck
