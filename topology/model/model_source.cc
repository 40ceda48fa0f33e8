// Looks tensors up in a source's directory, which is sorted by name.
#include "topology/model/model_source.h"

#include <algorithm>

#include "topology/base/text.h"

namespace potluck {

int64_t TensorInfo::elements() const {
  int64_t product = 1;
  for (int64_t extent : shape) product *= extent;
  return product;
}

std::string TensorInfo::shape_text() const {
  return potluck::shape_text(shape);
}

const TensorInfo* find_tensor(const ModelSource& source, std::string_view name) {
  const auto& tensors = source.tensors();
  const auto found =
      std::lower_bound(tensors.begin(), tensors.end(), name,
                       [](const TensorInfo& t, std::string_view n) { return t.name < n; });
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

}  // namespace potluck
