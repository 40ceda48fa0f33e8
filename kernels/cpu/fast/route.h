// The fast router.
#pragma once

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/route.h"

namespace potluck::cpu {

// As route(), each product and its sum rounded once; a near-tie may choose the other expert.
// scratch: route_scratch.
void fast_route(const RouteRows& rows, const RouterView& router, float* scratch, ThreadPool& pool);

}  // namespace potluck::cpu
