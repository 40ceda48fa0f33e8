// Partial copies: a file of the model's full length in which only some tensors are, with holes for
// the others, so that a machine's disk holds what its layers take. A list beside the file,
// FILE.partial, says which bytes are there; a file without one is whole.
//
// The list is text that only grows, a line at a time, so that whatever ends the program leaves a
// list that is true: "potluck-partial 1", "size BYTES", "origin TEXT", then for each piece
// "piece OFFSET BYTES DIGEST" once its bytes are in place, and "drop OFFSET BYTES" for one that was
// found damaged. A last line without its end does not count.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "topology/model/mapped_file.h"
#include "topology/model/model_source.h"

namespace potluck {

struct Piece {
  uint64_t bytes = 0;
  Digest digest = 0;  // digest_bytes() of them
};

struct PartialCopy {
  uint64_t size = 0;                 // of the whole file
  std::string origin;                // the file that this is a copy of
  std::map<uint64_t, Piece> pieces;  // by offset; none overlaps another
  uint64_t list_bytes = 0;           // of the list's whole lines
  // Whether all of [offset, offset + bytes) is there.
  bool holds(uint64_t offset, uint64_t bytes) const;
};

std::string partial_list(const std::string& path);  // the path of the list
// Nothing if the file is whole. Throws Fault{input}, with the line, for a list that is no such list
// or does not fit its file.
std::optional<PartialCopy> read_partial_copy(const std::string& path);

// Holds what is read of a model's files to the digests that the pieces of partial copies came with.
class PieceChecks final {
 public:
  // The next of the model's files; returns its list. A whole one has none, and nothing is known of
  // its bytes. Throws as read_partial_copy().
  std::optional<PartialCopy> add(MappedFile& file);
  // Reads the pieces that reach into the range, each once in this object's life. Any thread. Throws
  // Fault{world} for one that has changed.
  void check(size_t index, const MappedFile& file, uint64_t offset, uint64_t bytes) const;

 private:
  struct Unread {
    std::mutex mutex;
    std::map<uint64_t, Piece> pieces;
  };
  std::vector<std::unique_ptr<Unread>> files_;
};

// A tensor that is not there has ~file for its file, in every stretch.
bool is_here(const TensorInfo& tensor);
int file_index(int file);  // of such a file or an ordinary one
[[noreturn]] void refuse_absent(const TensorInfo& tensor, const std::string& path);

bool holds_layer(const ModelSource& source, int layer);
bool holds_head(const ModelSource& source);
// "partial: layers 4:9 of 30 and the head"; empty for a whole model.
std::string partial_note(const ModelSource& source);

}  // namespace potluck
