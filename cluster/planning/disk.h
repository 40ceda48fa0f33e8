// The disk that models lie on, and whether it has room for what a machine would have to fetch.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/planning/finding.h"
#include "topology/model/locator.h"

namespace potluck {

// With less than this, logs, keys and what was measured cannot be kept either.
inline constexpr uint64_t kDiskLeast = uint64_t{64} << 20;

// Where the model's file is or would be: its own folder, or the hub's cache; the next folder above
// that exists.
std::string model_folder(const std::string& model, const ModelPlaces& places);

// {folder, bytes_free, bytes_total}. Adds a finding where little is left.
nlohmann::ordered_json disk_json(const std::string& model, const ModelPlaces& places,
                                 bool model_is_there, std::vector<Finding>& findings);

// So many bytes are needed, and fewer are free.
Finding disk_finding(const std::string& folder, uint64_t free, uint64_t needed);

}  // namespace potluck
