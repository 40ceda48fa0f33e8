// Reads the list of what a partial copy holds, and tells which layers that makes.
#include "topology/model/partial_copy.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <vector>

#include "topology/base/fault.h"
#include "topology/model/mapped_file.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

constexpr char kFirstLine[] = "potluck-partial 1";
constexpr uint64_t kListBytesMax = 64 << 20;  // a piece of a few MB takes some 50 bytes
constexpr char kPullAgain[] =
    "remove it together with its file, and fetch both again with potluck pull";

class ListReader {
 public:
  explicit ListReader(const std::string& path) : path_(path) {}

  PartialCopy read(const std::string& text) {
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      ++line_;
      take(text.substr(begin, end - begin));
    }
    if (line_ == 0) refuse("the list is empty");
    copy_.list_bytes = begin;
    return std::move(copy_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw Fault(FaultKind::input, why, Fix{kPullAgain}, path_ + ":" + std::to_string(line_));
  }

  void take(const std::string& line) {
    if (line_ == 1) {
      if (line != kFirstLine) refuse("is not \"" + std::string(kFirstLine) + "\"");
      return;
    }
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "size")
      copy_.size = number(words, 10);
    else if (what == "origin")
      copy_.origin = line.substr(line.find(' ') + 1);
    else if (what == "piece")
      take_piece(words);
    else if (what == "drop")
      drop_piece(words);
    else
      refuse("\"" + line + "\" is no line of such a list");
  }

  void take_piece(std::istringstream& words) {
    const uint64_t offset = number(words, 10), bytes = number(words, 10);
    const Digest digest = number(words, 16);
    if (bytes == 0 || bytes > copy_.size || offset > copy_.size - bytes)
      refuse("the piece reaches past the file's " + std::to_string(copy_.size) + " bytes");
    const auto next = copy_.pieces.lower_bound(offset);
    const bool free_behind = next == copy_.pieces.end() || offset + bytes <= next->first;
    const bool free_before = next == copy_.pieces.begin() ||
                             std::prev(next)->first + std::prev(next)->second.bytes <= offset;
    if (!free_behind || !free_before) refuse("the piece overlaps another");
    copy_.pieces[offset] = {bytes, digest};
  }

  void drop_piece(std::istringstream& words) {
    const auto found = copy_.pieces.find(number(words, 10));
    if (found == copy_.pieces.end() || found->second.bytes != number(words, 10))
      refuse("there is no such piece to drop");
    copy_.pieces.erase(found);
  }

  uint64_t number(std::istringstream& words, int base) const {
    std::string word;
    words >> word;
    uint64_t value = 0;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, value, base);
    if (word.empty() || error != std::errc() || stop != end)
      refuse("\"" + word + "\" is no number");
    return value;
  }

  std::string path_;
  int line_ = 0;
  PartialCopy copy_;
};

bool holds_all(const ModelSource& source, const std::vector<TensorNeed>& needs) {
  return std::all_of(needs.begin(), needs.end(), [&](const TensorNeed& need) {
    const TensorInfo* tensor = find_tensor(source, need.name);
    return !tensor || is_here(*tensor);
  });
}

// "4:9, 12:13"; empty if there is no layer.
std::string layers_text(const ModelSource& source) {
  const int count = source.spec().layer_count();
  std::string text;
  for (int begin = 0; begin < count;) {
    int end = begin;
    while (end < count && holds_layer(source, end)) ++end;
    if (end > begin)
      text += (text.empty() ? "" : ", ") + std::to_string(begin) + ":" + std::to_string(end);
    begin = end + 1;
  }
  return text;
}

}  // namespace

bool PartialCopy::holds(uint64_t offset, uint64_t bytes) const {
  const uint64_t end = offset + bytes;
  auto piece = pieces.upper_bound(offset);
  if (piece != pieces.begin()) --piece;
  for (; offset < end && piece != pieces.end() && piece->first <= offset; ++piece)
    offset = std::max(offset, piece->first + piece->second.bytes);
  return offset >= end;
}

std::optional<PartialCopy> PieceChecks::add(MappedFile& file) {
  std::optional<PartialCopy> copy = read_partial_copy(file.path());
  files_.push_back(std::make_unique<Unread>());
  if (!copy) return copy;
  files_.back()->pieces = copy->pieces;
  file.may_be_filled();
  return copy;
}

void PieceChecks::check(size_t index, const MappedFile& file, uint64_t offset,
                        uint64_t bytes) const {
  Unread& unread = *files_[index];
  const std::lock_guard<std::mutex> lock(unread.mutex);
  auto at = unread.pieces.upper_bound(offset);
  if (at != unread.pieces.begin()) --at;
  while (at != unread.pieces.end() && at->first < offset + bytes) {
    const auto [begin, piece] = *at;
    if (digest_bytes(file.map(begin, piece.bytes).get(), piece.bytes) != piece.digest)
      throw Fault(FaultKind::world,
                  "bytes " + std::to_string(begin) + " to " + std::to_string(begin + piece.bytes) +
                      " have changed on this disk since they came",
                  Fix{"fetch them anew by the potluck pull that they came with, or remove the file "
                      "and " +
                      partial_list(file.path())},
                  file.path());
    at = unread.pieces.erase(at);
  }
}

std::string partial_list(const std::string& path) {
  return path + ".partial";
}

std::optional<PartialCopy> read_partial_copy(const std::string& path) {
  const std::string list = partial_list(path);
  std::error_code none;
  if (!std::filesystem::exists(list, none)) return std::nullopt;
  PartialCopy copy = ListReader(list).read(read_text_or_pipe(list, kListBytesMax));
  const uint64_t bytes = std::filesystem::file_size(path, none);
  if (none || bytes != copy.size)
    throw Fault(FaultKind::input,
                path + (none ? " is not there" : " has " + std::to_string(bytes) + " bytes") +
                    ", its list is for " + std::to_string(copy.size),
                Fix{kPullAgain}, list);
  return copy;
}

bool is_here(const TensorInfo& tensor) {
  return tensor.file >= 0 && std::all_of(tensor.stretches.begin(), tensor.stretches.end(),
                                         [](const Stretch& stretch) { return stretch.file >= 0; });
}

int file_index(int file) {
  return file < 0 ? ~file : file;
}

void refuse_absent(const TensorInfo& tensor, const std::string& path) {
  throw Fault(FaultKind::input, "tensor " + tensor.name + " is not in this partial copy",
              Fix{"fetch its layer too with potluck pull --layers, the head's with --head"}, path);
}

bool holds_layer(const ModelSource& source, int layer) {
  return holds_all(source, layer_tensors(source.spec(), layer));
}

bool holds_head(const ModelSource& source) {
  return holds_all(source, head_tensors(source.spec()));
}

std::string partial_note(const ModelSource& source) {
  const std::string layers = layers_text(source);
  const std::string count = std::to_string(source.spec().layer_count());
  const bool head = holds_head(source);
  if (head && layers == "0:" + count) return "";
  if (layers.empty())
    return "partial: " + std::string(head ? "the head, " : "") + "none of " + count + " layers";
  return "partial: layers " + layers + " of " + count + (head ? " and the head" : "");
}

}  // namespace potluck
