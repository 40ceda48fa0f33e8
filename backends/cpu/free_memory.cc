// Reads /proc/meminfo and the files of cgroups (man 7 cgroups; admin-guide/cgroup-v2.rst and
// cgroup-v1/memory.rst of Linux).
#include "backends/cpu/free_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// The names of one version's files, and of the lines of its memory.stat that count what it can
// drop.
struct Version {
  const char *limit, *used, *inactive, *active;
};
constexpr Version kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
                            "total_active_file"};
constexpr Version kVersion2{"memory.max", "memory.current", "inactive_file", "active_file"};

// Nothing where the file is missing, or says "max".
std::optional<uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  uint64_t number = 0;
  if (in >> number) return number;
  return std::nullopt;
}

// The number behind a word at a line's beginning; 0 without one.
uint64_t number_behind(const fs::path& file, const std::string& word) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    uint64_t number = 0;
    if (words >> name >> number && name == word) return number;
  }
  return 0;
}

uint64_t left_in(const fs::path& group, const Version& version) {
  const auto limit = number_in(group / version.limit), used = number_in(group / version.used);
  if (!limit || !used) return kNoLimit;
  const fs::path stat = group / "memory.stat";
  const uint64_t files =
      number_behind(stat, version.inactive) + number_behind(stat, version.active);
  const uint64_t kept = *used - std::min(*used, files);
  return *limit - std::min(*limit, kept);
}

// A limit of a group holds for those in it. Where a container does not see the groups around it,
// its own is the mount itself, and the path that /proc names is not there.
uint64_t left_up_from(const fs::path& mount, const fs::path& group, const Version& version) {
  uint64_t left = left_in(mount, version);
  fs::path place = mount;
  for (const fs::path& part : group.relative_path())
    left = std::min(left, left_in(place /= part, version));
  return left;
}

// A line of /proc/self/cgroup: "4:memory:/a/b" of version 1, "0::/a/b" of version 2.
uint64_t left_by(const std::string& line, const fs::path& root) {
  const size_t first = line.find(':'), second = line.find(':', first + 1);
  if (first == std::string::npos || second == std::string::npos) return kNoLimit;
  std::string kinds = ",";
  kinds.append(line, first + 1, second - first - 1).append(",");
  const fs::path group = line.substr(second + 1), mount = root / "sys/fs/cgroup";
  if (kinds == ",,")
    return std::min(left_up_from(mount, group, kVersion2),
                    left_up_from(mount / "unified", group, kVersion2));
  if (kinds.find(",memory,") == std::string::npos) return kNoLimit;
  return left_up_from(mount / "memory", group, kVersion1);
}

}  // namespace

uint64_t free_memory(const fs::path& root) {
  constexpr uint64_t kKibibyte = 1024;
  uint64_t free = number_behind(root / "proc/meminfo", "MemAvailable:") * kKibibyte;
  if (free == 0) free = sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE);
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) free = std::min(free, left_by(line, root));
  return free;
}

}  // namespace potluck
