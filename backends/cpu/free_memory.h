// How much memory this process may still take.
#pragma once

#include <cstdint>
#include <filesystem>

namespace potluck {

// Says what the machine has available; or less, where a container or a service manager has set a
// limit: the least that is left in any of the process's cgroups, of version 1 or 2. A cache of
// files that a cgroup could drop counts as left. root: where /proc and /sys are.
uint64_t free_memory(const std::filesystem::path& root = "/");

}  // namespace potluck
