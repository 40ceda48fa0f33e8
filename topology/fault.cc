#include "topology/fault.h"

#include <string_view>

#include "topology/utf8.h"

namespace potluck {
namespace {

constexpr size_t kLineBytesMax = 2000;

std::string one_line(std::string_view text) {
  std::string line;
  while (!text.empty() && line.size() < kLineBytesMax) {
    const std::string_view letter = text.substr(0, utf8_length(text));
    const auto first = static_cast<unsigned char>(letter[0]);
    const bool shown = utf8_valid(letter) && first >= 0x20 && first != 0x7F;
    line += shown ? letter : "?";
    text.remove_prefix(letter.size());
  }
  return text.empty() ? line : line + "…";
}

}  // namespace

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
