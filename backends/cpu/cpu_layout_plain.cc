// The layout as the kernel's files have it, where this build has no hwloc.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include "backends/cpu/cpu_layout.h"

namespace potluck {
namespace {

const std::filesystem::path kProcessors = "/sys/devices/system/cpu";

int number_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  int value = 0;
  file >> value;
  return value;
}

// "33792K"
uint64_t kibibytes_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value << 10 : 0;
}

}  // namespace

CpuLayout cpu_layout() {
  CpuLayout layout;
  layout.threads = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  std::set<int> packages;
  std::set<std::pair<int, int>> cores;
  for (int i = 0; i < layout.threads; ++i) {
    const auto folder = kProcessors / ("cpu" + std::to_string(i)) / "topology";
    const int package = number_of(folder / "physical_package_id");
    packages.insert(package);
    cores.insert({package, number_of(folder / "core_id")});
  }
  layout.packages = packages.size();
  layout.cores = cores.size();
  layout.cache_bytes = kibibytes_of(kProcessors / "cpu0/cache/index3/size");
  return layout;
}

}  // namespace potluck
