// Holds a file's tensor directory to the tensor table: names, shapes, and places in the file.
#include "topology/model/tensor_directory.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

constexpr char kOther[] = "whoever wrote the file made a mistake: take another file of the model";

using ByName = std::map<std::string, const TensorInfo*>;

void check_need(const TensorNeed& need, const ByName& by_name, const std::string& file,
                Naming naming) {
  const std::string& name = naming == Naming::gguf ? need.name : need.published;
  const auto found = by_name.find(need.name);
  if (found == by_name.end()) {
    if (need.optional) return;
    throw Fault(FaultKind::input, "tensor " + name + " " + shape_text(need.shape) + " is missing",
                Fix{"is this a whole DiffusionGemma text model?"}, file);
  }
  if (found->second->shape != need.shape)
    throw Fault(FaultKind::input,
                "tensor " + name + " has shape " + found->second->shape_text() +
                    ", the metadata says " + shape_text(need.shape),
                Fix{"is this a DiffusionGemma text model?"}, file);
}

void check_overlaps(std::vector<const TensorInfo*> tensors, const std::string& file) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::tie(a->file, a->offset) < std::tie(b->file, b->offset);
  });
  for (size_t i = 1; i < tensors.size(); ++i) {
    const TensorInfo &a = *tensors[i - 1], &b = *tensors[i];
    if (a.file == b.file && a.offset + a.bytes > b.offset)
      throw Fault(
          FaultKind::input,
          "tensors " + a.name + " and " + b.name + " overlap at byte " + std::to_string(b.offset),
          Fix{kOther}, file);
  }
}

}  // namespace

uint64_t checked_bytes(DType type, const std::vector<int64_t>& shape, const std::string& name,
                       const std::string& file) {
  constexpr int64_t kElementsMax = std::numeric_limits<int64_t>::max() / 8;
  int64_t elements = 1;
  for (int64_t extent : shape) {
    if (extent < 1 || extent > kElementsMax / elements)
      throw Fault(FaultKind::input,
                  "tensor " + name + " has the impossible shape " + shape_text(shape), Fix{kOther},
                  file);
    elements *= extent;
  }
  const int64_t block = block_shape(type).values;
  if (shape.empty() || shape.back() % block)
    throw Fault(FaultKind::input,
                "tensor " + name + " " + shape_text(shape) + ": rows of " + dtype_name(type) +
                    " must be a multiple of " + std::to_string(block),
                Fix{kOther}, file);
  return row_bytes(type, elements);
}

void check_places(const std::vector<TensorInfo>& tensors, const std::string& file) {
  std::set<std::string> names;
  std::vector<const TensorInfo*> all;
  for (const TensorInfo& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      throw Fault(FaultKind::input, "tensor " + tensor.name + " appears twice in the directory",
                  Fix{kOther}, file);
    all.push_back(&tensor);
  }
  check_overlaps(std::move(all), file);
}

void check_directory(std::vector<TensorInfo>& tensors, const ModelSpec& spec,
                     const std::string& file, Naming naming) {
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  ByName by_name;
  for (const TensorInfo& tensor : tensors) by_name.emplace(tensor.name, &tensor);
  for (const TensorNeed& need : head_tensors(spec)) check_need(need, by_name, file, naming);
  for (int i = 0; i < spec.layer_count(); ++i)
    for (const TensorNeed& need : layer_tensors(spec, i)) check_need(need, by_name, file, naming);
}

const TensorInfo* find_unsorted(const std::vector<TensorInfo>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorInfo& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

}  // namespace potluck
