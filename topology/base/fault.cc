#include "topology/base/fault.h"

#include "topology/base/utf8.h"

namespace potluck {
Fault::Fault(FaultKind kind, std::string what, std::string where)
    : kind_(kind), text_(one_line(what)), where_(one_line(where)) {
  line_ = where_.empty() ? text_ : where_ + ": " + text_;
}

const char* fault_kind_name(FaultKind kind) {
  switch (kind) {
    case FaultKind::input:
      return "input";
    case FaultKind::memory:
      return "memory";
    case FaultKind::lost:
      return "lost";
    case FaultKind::refused:
      return "refused";
    case FaultKind::world:
      return "world";
    case FaultKind::canceled:
      return "canceled";
  }
  return "unknown";
}

int exit_code(FaultKind kind) {
  if (kind == FaultKind::input) return 2;
  return kind == FaultKind::canceled ? 130 : 3;
}

}  // namespace potluck
