// The layout as hwloc sees it, within what this process may use.
#include <hwloc.h>

#include <algorithm>

#include "backends/cpu/cpu_layout.h"

namespace potluck {

CpuLayout cpu_layout() {
  CpuLayout layout;
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return layout;
  if (hwloc_topology_load(topology) == 0) {
    const auto count = [topology](hwloc_obj_type_t type) {
      return std::max(0, hwloc_get_nbobjs_by_type(topology, type));
    };
    layout.packages = count(HWLOC_OBJ_PACKAGE);
    layout.memory_nodes = count(HWLOC_OBJ_NUMANODE);
    layout.cores = count(HWLOC_OBJ_CORE);
    layout.threads = count(HWLOC_OBJ_PU);
    for (const hwloc_obj_type_t level : {HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L2CACHE}) {
      const hwloc_obj_t cache = hwloc_get_obj_by_type(topology, level, 0);
      if (cache && layout.cache_bytes == 0) layout.cache_bytes = cache->attr->cache.size;
    }
  }
  hwloc_topology_destroy(topology);
  return layout;
}

}  // namespace potluck
