// ModelSource: where a model's numbers come from: a GGUF file (also split), a safetensors folder,
// or made up on the spot. It knows the metadata and a tensor directory, and maps bytes on demand, a
// tensor at a time, so that a stage touches only what its plan gives it. There is no maths here.
//
// Tensor names are GGUF's (`blk.0.attn_q.weight`, `token_embd.weight`, …) whatever the file is;
// shapes are outermost first ([experts, out, in] or [out, in] or [n]), rows contiguous.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "topology/base/dtype.h"
#include "topology/model/fingerprint.h"
#include "topology/model/model_spec.h"

namespace potluck {

// A stretch of one of the model's files.
struct Stretch {
  int file = 0;
  uint64_t offset = 0, bytes = 0;
};

struct TensorInfo {
  std::string name;
  DType type = DType::f32;
  std::vector<int64_t> shape;  // outermost first
  uint64_t bytes = 0;
  uint64_t offset = 0;             // within its file
  int file = 0;                    // index of the shard; ~index: this copy lacks the tensor
  Digest recipe = 0;               // a made-up tensor's bytes follow from it; 0: they are stored
  std::vector<Stretch> stretches;  // its bytes, one after the other, if they lie in several places
  int64_t elements() const;
  std::string shape_text() const;  // "[1408, 2816]"
};

enum class TokenType : uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

// Everything that a tokenizer needs, from GGUF metadata or from tokenizer.json.
struct Vocabulary {
  std::vector<std::string> tokens;  // by id, raw UTF-8 with U+2581 for a space
  std::vector<TokenType> types;
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::string chat_template;       // the Jinja text when the file has one; only for information
  bool skips_merges = false;       // merges of texts that are no tokens are left out, else refused
  std::vector<std::string> notes;  // what was left out and why, a line each
};

// Bytes that stay mapped (or allocated) as long as this lives.
using TensorBytes = std::shared_ptr<const std::byte>;

class ModelSource {
 public:
  virtual ~ModelSource() = default;
  virtual const ModelSpec& spec() const = 0;
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  // The tensor's bytes, read-only. Thread-safe. Throws Fault{world} if the file is gone.
  virtual TensorBytes map(const TensorInfo& tensor) const = 0;
  // Asks the system to forget what it has cached of the files and nobody maps, as after a boot.
  virtual void drop_cached() const = 0;
  // Throws Fault{input} if the model has none (a synthetic one).
  virtual Vocabulary vocabulary() const = 0;
  virtual std::string description() const = 0;         // "GGUF v3, 692 tensors, 2 files"
  virtual std::vector<std::string> notes() const = 0;  // what was skipped and why, a line each
};

// nullptr if there is no such tensor.
const TensorInfo* find_tensor(const ModelSource& source, std::string_view name);

}  // namespace potluck
