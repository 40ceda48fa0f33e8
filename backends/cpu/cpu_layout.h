// CpuLayout: packages, memory nodes, cores and caches of this machine's processors.
#pragma once

#include <cstdint>

namespace potluck {

struct CpuLayout {
  int packages = 0, memory_nodes = 0, cores = 0, threads = 0;
  uint64_t cache_bytes = 0;  // of one shared cache of the last level; 0: not known
};

// As hwloc knows them; a build without it asks the kernel's files.
CpuLayout cpu_layout();

}  // namespace potluck
