// A GGUF file's metadata by type, and the ModelSpec that it makes with the tensors
// (shard/MODEL.md §9.1).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "topology/model/gguf_reader.h"
#include "topology/model/model_spec.h"

namespace potluck {

std::string value_text(const GgufValue& value);  // as a message shows it

// Every getter throws Fault{input} naming key, value and file. values must outlive this. A number
// may be given as an array of one value a layer, where all are equal.
class GgufMetadata {
 public:
  GgufMetadata(const std::map<std::string, GgufValue>& values, std::string file);

  const std::map<std::string, GgufValue>& values() const { return values_; }
  const GgufValue* find(const std::string& key) const;
  int integer(const std::string& key) const;
  int integer_or(const std::string& key, int fallback) const;
  double number(const std::string& key) const;
  double number_or(const std::string& key, double fallback) const;
  std::string text_or(const std::string& key, const std::string& fallback) const;
  const GgufArray& array(const std::string& key) const;
  // One value for each layer: an array of `count`, or one number for all.
  std::vector<double> per_layer(const std::string& key, int count) const;
  std::vector<int> integers_per_layer(const std::string& key, int count) const;

  int to_int(double value, const std::string& key) const;
  [[noreturn]] void refuse(const std::string& why, const std::string& fix = "") const;

 private:
  const std::map<std::string, GgufValue>& values_;
  std::string file_;
};

// Throws Fault{input} for a file of another architecture, and says which one it is.
void check_architecture(const GgufMetadata& metadata);

// Not validated; rope_pairs_full is left 0: the tensor rope_freqs.weight tells it.
ModelSpec gguf_spec(const GgufMetadata& metadata, const std::vector<TensorInfo>& tensors);

}  // namespace potluck
