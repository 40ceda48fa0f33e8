// A speed that was measured with another model says nothing of this one: shapes and types decide
// it.
#pragma once

#include <string>
#include <vector>

#include "topology/cluster/cluster_spec.h"
#include "topology/model/model_source.h"

namespace potluck {

// Takes measured speeds of models with other shapes or types out of the cluster, and names the
// devices. What somebody has stated stays.
std::vector<std::string> drop_speeds_of_other_models(ClusterSpec& cluster,
                                                     const ModelSource& source);

}  // namespace potluck
