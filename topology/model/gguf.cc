// Puts the parts of a GGUF model together as one ModelSource.
#include "topology/model/gguf.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/gguf_keys.h"
#include "topology/model/gguf_reader.h"
#include "topology/model/gguf_spec.h"
#include "topology/model/joined_tensors.h"
#include "topology/model/mapped_file.h"
#include "topology/model/partial_copy.h"
#include "topology/model/stray_tensors.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tensor_table.h"
#include "topology/model/tokenizer_json.h"

namespace potluck {
namespace {

constexpr char kRopeFactors[] = "rope_freqs.weight";
constexpr float kNoRotation = 1e20f;  // rope_freqs divides by 1e30 where a pair does not rotate

// The metadata of a part says which one it is; a renamed or mixed-up part is refused.
void check_split(const GgufMetadata& metadata, int index, size_t count) {
  const int found = metadata.integer_or("split.count", count);
  const int number = metadata.integer_or("split.no", index) + 1;
  if (found != static_cast<int>(count) || number != index + 1)
    metadata.refuse("is part " + std::to_string(number) + " of " + std::to_string(found) +
                        " by its metadata, part " + std::to_string(index + 1) + " of " +
                        std::to_string(count) + " by its name",
                    "give the parts their names back "
                    "(NAME-00001-of-00003.gguf, …)");
}

class GgufSource final : public ModelSource {
 public:
  GgufSource(const std::vector<std::string>& paths, std::vector<std::string> notes)
      : notes_(std::move(notes)) {
    for (const std::string& path : paths) add_part(path, paths.size());
    const GgufMetadata metadata(metadata_, paths[0]);
    check_architecture(metadata);
    check_complete(metadata);
    check_places(tensors_, paths[0]);
    check_gguf_keys(metadata);
    spec_ = gguf_spec(metadata, tensors_);
    spec_.rope_pairs_full = rope_pairs();
    validate_named(paths[0]);
    join_experts(tensors_, spec_, paths[0]);
    check_directory(tensors_, spec_, paths[0]);
    drop_strays(paths[0]);
    if (partial_) add_partial_note();
  }

  const ModelSpec& spec() const override { return spec_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TensorBytes map(const TensorInfo& tensor) const override {
    return map_tensor(files_, checks_, tensor);
  }
  void drop_cached() const override {
    for (const MappedFile& file : files_) file.drop_cached();
  }
  std::vector<std::string> notes() const override { return notes_; }
  std::string description() const override {
    return "GGUF v3, " + std::to_string(tensors_.size()) + " tensors, " +
           std::to_string(files_.size()) + (files_.size() == 1 ? " file" : " files");
  }

  Vocabulary vocabulary() const override {
    const GgufMetadata meta(metadata_, files_[0].path());
    Vocabulary v;
    v.tokens = meta.array("tokenizer.ggml.tokens").strings;
    v.chat_template = meta.text_or("tokenizer.chat_template", "");
    for (double type : meta.array("tokenizer.ggml.token_type").numbers)
      v.types.push_back(type >= 1 && type <= 6 ? static_cast<TokenType>(type) : TokenType::normal);
    if (v.types.size() != v.tokens.size())
      meta.refuse("tokenizer.ggml.token_type has " + std::to_string(v.types.size()) +
                  " values for " + std::to_string(v.tokens.size()) + " tokens");
    fit_to_table(v, meta);
    v.skips_merges = true;
    for (const std::string& merge : meta.array("tokenizer.ggml.merges").strings) {
      const size_t space = merge.find(' ', 1);
      if (space == std::string::npos)
        meta.refuse("merge \"" + merge + "\" is not a pair of tokens");
      v.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    }
    return v;
  }

 private:
  void add_partial_note() {
    const std::string note = partial_note(*this);
    if (!note.empty()) notes_.push_back(note);
  }

  void add_part(const std::string& path, size_t parts) {
    const int index = files_.size();
    const std::optional<PartialCopy> partial = checks_.add(files_.emplace_back(path));
    if (partial) partial_ = true;
    GgufContents contents = read_header(index);
    check_split(GgufMetadata(contents.metadata, path), index, parts);
    for (TensorInfo& tensor : contents.tensors) {
      const bool here = !partial || partial->holds(tensor.offset, tensor.bytes);
      tensor.file = here ? index : ~index;
      tensors_.push_back(std::move(tensor));
    }
    if (index == 0) metadata_ = std::move(contents.metadata);
  }

  // A copy's header that cannot be read may have changed since it came.
  GgufContents read_header(size_t index) const {
    const MappedFile& file = files_[index];
    try {
      GgufContents contents = read_gguf(file.map(0, file.size()).get(), file.size(), file.path());
      checks_.check(index, file, 0, contents.header_bytes);
      return contents;
    } catch (const Fault&) {
      checks_.check(index, file, 0, file.size());
      throw;
    }
  }

  void check_complete(const GgufMetadata& metadata) const {
    const int count = tensors_.size();
    const int expected = metadata.integer_or("split.tensors.count", count);
    if (count != expected)
      metadata.refuse("its " + std::to_string(files_.size()) + " parts have " +
                          std::to_string(count) + " tensors together, split.tensors.count says " +
                          std::to_string(expected),
                      "take all parts of one and the same split");
  }

  // Tokens past the table are never produced; only one that no text may hold can be left out.
  void fit_to_table(Vocabulary& v, const GgufMetadata& meta) const {
    const size_t rows = spec_.vocab;
    for (size_t id = rows; id < v.tokens.size(); ++id) {
      if (v.types[id] == TokenType::normal || v.types[id] == TokenType::byte)
        meta.refuse("tokenizer.ggml.tokens has " + std::to_string(v.tokens.size()) +
                        " tokens, token_embd.weight has " + std::to_string(rows) + " rows",
                    "is this tokenizer of another model?");
      v.notes.push_back(past_table_note(v.tokens[id], id, rows));
    }
    v.tokens.resize(rows);
    v.types.resize(rows, TokenType::unused);
  }

  // Leaves out what text does without, and copies of a tied tensor; refuses any other stray.
  void drop_strays(const std::string& path) {
    const std::set<std::string> known = tensor_names(spec_);
    size_t senses = 0;
    std::vector<TensorInfo> kept;
    for (TensorInfo& tensor : tensors_) {
      const bool known_one = known.count(tensor.name) || tensor.name == kRopeFactors;
      if (known_one)
        kept.push_back(tensor);
      else if (of_other_senses(tensor.name))
        ++senses;
      else if (!is_copy(tensor))
        refuse_stray(tensor.name, tensor.shape_text(), path);
    }
    tensors_ = std::move(kept);
    if (senses) notes_.push_back(senses_note(senses));
  }

  // Whether it holds the same as the tensor that it is tied to. A partial copy lacks copies.
  bool is_copy(const TensorInfo& tensor) const {
    const TensorInfo* of = find_tensor(*this, tied_to(tensor.name));
    if (!of || of->type != tensor.type || of->shape != tensor.shape) return false;
    return !is_here(tensor) || !is_here(*of) ||
           std::memcmp(map(*of).get(), map(tensor).get(), tensor.bytes) == 0;
  }

  void validate_named(const std::string& path) const {
    try {
      validate(spec_);
    } catch (const Fault& fault) {
      throw fault.at(path);
    }
  }

  // rope_freqs holds 1 for pairs that rotate on full layers, and behind them 1e30 for those that do
  // not.
  int rope_pairs() const {
    const auto full = std::find_if(spec_.layers.begin(), spec_.layers.end(),
                                   [](const LayerSpec& layer) { return layer.full; });
    if (full == spec_.layers.end()) return 0;
    const int pairs = full->head_dim / 2;
    const TensorInfo* factors = find_unsorted(tensors_, kRopeFactors);
    if (!factors || factors->type != DType::f32 || factors->elements() != pairs)
      throw Fault(
          FaultKind::input,
          "tensor rope_freqs.weight [" + std::to_string(pairs) + "] f32 is missing or misshapen",
          Fix{"the full layers' rotation depends on it"}, files_[0].path());
    const TensorBytes bytes = map(*factors);
    const auto* values = reinterpret_cast<const float*>(bytes.get());
    const float* end = std::find_if(values, values + pairs, [](float f) { return f != 1.0f; });
    const float* odd =
        std::find_if(end, values + pairs, [](float f) { return !(f >= kNoRotation); });
    if (odd != values + pairs)
      throw Fault(FaultKind::input,
                  "tensor rope_freqs.weight divides the frequency of pair " +
                      std::to_string(odd - values) + " by " + number_text(*odd),
                  Fix{"potluck computes by pairs that rotate (1), then pairs that do not (1e30)"},
                  files_[0].path());
    return end - values;
  }

  std::vector<MappedFile> files_;
  PieceChecks checks_;
  std::map<std::string, GgufValue> metadata_;  // of the first part
  std::vector<TensorInfo> tensors_;
  std::vector<std::string> notes_;
  ModelSpec spec_;
  bool partial_ = false;  // a part of it at least
};

// Whether the name ends as a part's does; 0 stands for any digit.
constexpr std::string_view kPartTail = "-00000-of-00000.gguf";
bool names_part(const std::string& path) {
  if (path.size() < kPartTail.size()) return false;
  return std::equal(kPartTail.begin(), kPartTail.end(), path.end() - kPartTail.size(),
                    [](char pattern, char letter) {
                      return pattern == '0' ? letter >= '0' && letter <= '9' : letter == pattern;
                    });
}

void check_all_there(const std::vector<std::string>& parts) {
  std::error_code none;
  if (parts.size() == 1 && !names_part(parts[0])) return;
  for (size_t i = 0; i < parts.size(); ++i)
    if (!std::filesystem::exists(parts[i], none))
      throw Fault(FaultKind::input,
                  "part " + std::to_string(i + 1) + " of " + std::to_string(parts.size()) +
                      " is missing: there is no " + parts[i],
                  Fix{"download it into the same folder"});
}

}  // namespace

std::vector<std::string> gguf_part_names(const std::string& path) {
  if (!names_part(path)) return {path};
  const std::string base = path.substr(0, path.size() - kPartTail.size());
  const int number = std::stoi(path.substr(base.size() + 1, 5));
  const int count = std::stoi(path.substr(base.size() + 10, 5));
  if (number < 1 || number > count)
    throw Fault(
        FaultKind::input,
        path + " names itself part " + std::to_string(number) + " of " + std::to_string(count),
        Fix{"give it its name back"});
  std::vector<std::string> parts;
  for (int i = 1; i <= count; ++i) {
    char tail[32];
    std::snprintf(tail, sizeof(tail), "-%05d-of-%05d.gguf", i, count);
    parts.push_back(base + tail);
  }
  return parts;
}

std::unique_ptr<ModelSource> open_gguf(const std::string& path, std::vector<std::string> notes) {
  const std::vector<std::string> parts = gguf_part_names(path);
  check_all_there(parts);
  return std::make_unique<GgufSource>(parts, std::move(notes));
}

}  // namespace potluck
