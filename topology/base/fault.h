// Fault: the world broke, or somebody gave us what cannot work. Thrown where it is seen, caught in
// three places only (worker loop, request loop, main), and travels to whoever asked.
#pragma once

#include <cstdint>
#include <exception>
#include <string>

namespace potluck {

enum class FaultKind : uint8_t {
  input,    // a file, an option or a plan is wrong: exit code 2
  memory,   // it does not fit: exit code 3
  lost,     // a peer is gone or silent: exit code 3
  refused,  // a peer refuses us (version, fingerprint, epoch, kv length): exit code 3
  world,    // anything else outside our control (disk, socket, signal): exit code 3
  canceled  // somebody asked for it: exit code 130
};

const char* fault_kind_name(FaultKind kind);

class Fault final : public std::exception {
 public:
  // what: one line that holds the offending name, the value found and the fix (and made one by
  // one_line(), whatever it quotes).
  // where: who saw it ("head", "stage 2", "cluster.yaml:14"); may be empty.
  Fault(FaultKind kind, std::string what, std::string where = {});

  FaultKind kind() const { return kind_; }
  const std::string& text() const { return text_; }
  const std::string& where() const { return where_; }
  // "where: text", or the text alone without a where.
  const char* what() const noexcept override { return line_.c_str(); }

 private:
  FaultKind kind_;
  std::string text_, where_, line_;
};

// The process exit code for a fault of this kind (design: 2 input, 3 world, 130 canceled).
int exit_code(FaultKind kind);

}  // namespace potluck
