// Faults put their parts into one line for people, and know their exit codes.
#include "topology/base/fault.h"

#include <utility>

#include "topology/base/utf8.h"

namespace potluck {

Fault::Fault(FaultKind kind, std::string text, std::string where)
    : Fault(kind, std::move(text), Fix{}, std::move(where)) {}

Fault::Fault(FaultKind kind, std::string text, Fix fix, std::string where)
    : kind_(kind),
      text_(one_line(text)),
      where_(one_line(where)),
      fix_{one_line(fix.text), fix.setting} {
  line_ = where_.empty() ? text_ : where_ + ": " + text_;
  if (!fix_.text.empty()) line_ += "; " + fix_.text;
}

Fault Fault::at(const std::string& where) const {
  return Fault(kind_, text_, fix_, where);
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

void check_within(const std::string& name, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most)
    throw Fault(FaultKind::input, name + " is " + std::to_string(value),
                Fix{"it must be " + std::to_string(least) + " to " + std::to_string(most)});
}

int exit_code(FaultKind kind) {
  if (kind == FaultKind::input) return 2;
  return kind == FaultKind::canceled ? 130 : 3;
}

}  // namespace potluck
