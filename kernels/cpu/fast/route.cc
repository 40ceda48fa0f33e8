// The reference's router with fused products.
#include "kernels/cpu/fast/route.h"

#include "kernels/cpu/reference/fused_dot_products.h"

namespace potluck::cpu {

void fast_route(const RouteRows& rows, const RouterView& router, float* scratch, ThreadPool& pool) {
  route_by(fused_dot_products, rows, router, scratch, pool);
}

}  // namespace potluck::cpu
