// Writes a partial copy's bytes, and the list of them behind their back.
#include "topology/hub/partial_writer.h"

#include <algorithm>
#include <filesystem>

#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr char kElsewhere[] = "name another folder with --to, or remove it";

// The path, unless a whole file is there.
std::string not_whole(const std::string& path) {
  std::error_code none;
  if (std::filesystem::exists(path, none) && !std::filesystem::exists(partial_list(path), none))
    throw Fault(FaultKind::input, path + " is there already, and no partial copy", Fix{kElsewhere});
  return path;
}

}  // namespace

// The list is there before its file: a file without one would count as whole.
PartialWriter::PartialWriter(const std::string& path, const ModelFile& file,
                             const std::string& origin)
    : path_(not_whole(path)), list_(partial_list(path)) {
  if (!list_.try_lock())
    throw Fault(FaultKind::world, "another process is writing to " + path,
                Fix{"wait until it has ended"});
  if (list_.size() == 0)
    append("potluck-partial 1\nsize " + std::to_string(file.bytes) + "\norigin " + origin);
  data_.emplace(path);
  if (data_->size() == 0) data_->resize(file.bytes);
  copy_ = read_partial_copy(path).value();
  if (copy_.origin != origin || copy_.size != file.bytes)
    throw Fault(FaultKind::input,
                path + " is a partial copy of " + copy_.origin + ", not of " + origin,
                Fix{kElsewhere});
  list_.resize(copy_.list_bytes);
}

void PartialWriter::add(uint64_t offset, std::span<const std::byte> bytes) {
  data_->write(offset, bytes);
  const Piece piece{bytes.size(), digest_bytes(bytes.data(), bytes.size())};
  copy_.pieces[offset] = piece;
  append("piece " + std::to_string(offset) + " " + std::to_string(piece.bytes) + " " +
         digest_text(piece.digest));
}

int PartialWriter::drop_damaged() {
  int dropped = 0;
  for (auto at = copy_.pieces.begin(); at != copy_.pieces.end();) {
    const auto [offset, piece] = *at;
    std::vector<std::byte> bytes;
    data_->read(offset, piece.bytes, [&](std::span<const std::byte> part) {
      bytes.insert(bytes.end(), part.begin(), part.end());
    });
    if (digest_bytes(bytes.data(), bytes.size()) == piece.digest) {
      ++at;
      continue;
    }
    append("drop " + std::to_string(offset) + " " + std::to_string(piece.bytes));
    at = copy_.pieces.erase(at);
    ++dropped;
  }
  return dropped;
}

std::vector<ByteRange> PartialWriter::missing(ByteRange range) const {
  std::vector<ByteRange> ranges;
  uint64_t at = range.begin;
  const uint64_t end = range.begin + range.bytes;
  for (const auto& [offset, piece] : copy_.pieces) {
    if (offset + piece.bytes <= at) continue;
    if (offset >= end) break;
    if (offset > at) ranges.push_back({at, offset - at});
    at = offset + piece.bytes;
  }
  if (at < end) ranges.push_back({at, end - at});
  return ranges;
}

void PartialWriter::sync() {
  data_->sync();
  list_.sync();
}

void PartialWriter::append(const std::string& line) {
  const std::string text = line + "\n";
  list_.write(list_.size(), std::as_bytes(std::span(text)));
}

}  // namespace potluck
