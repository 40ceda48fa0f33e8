// From a stored type that is known when the program runs to the kernels of that type.
#pragma once

#include "kernels/gpu/fast/panels.h"
#include "topology/base/check.h"

namespace potluck {

inline bool has_panels(gpu::Stored type) {
  return gpu::panel_format(type).bits != 0;
}

// call.template operator()<type>(), for a type that has panels.
template <typename Call>
void with_panel_type(gpu::Stored type, const Call& call) {
  using gpu::Stored;
  switch (type) {
    case Stored::q8_0:
      return call.template operator()<Stored::q8_0>();
    case Stored::q4_0:
      return call.template operator()<Stored::q4_0>();
    case Stored::q5_0:
      return call.template operator()<Stored::q5_0>();
    case Stored::q5_1:
      return call.template operator()<Stored::q5_1>();
    case Stored::iq4_nl:
      return call.template operator()<Stored::iq4_nl>();
    case Stored::q4_k:
      return call.template operator()<Stored::q4_k>();
    case Stored::q5_k:
      return call.template operator()<Stored::q5_k>();
    case Stored::q6_k:
      return call.template operator()<Stored::q6_k>();
    default:
      CHECK(false, static_cast<int>(type));
  }
}

}  // namespace potluck
