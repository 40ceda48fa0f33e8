// Fault: the world broke, or somebody gave us what cannot work. It is thrown where it is seen,
// caught in three places only (worker loop, request loop, main), and travels to whoever asked.
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

// A setting of potluck that a fix would change. Whoever talks to a person adds the name that the
// setting has there: the command line its flag, a server its field.
enum class Setting : uint8_t {
  none,
  model,         // which model is loaded
  context,       // tokens that a session may hold
  stages,        // how many parts the layers are cut into
  split,         // how many layers each part has
  steps,         // denoising steps at most
  step_timeout,  // how long the ring may be silent
  chat_format,   // whether the prompt is put into the model's chat format
  device,        // what a worker computes on
  card_layers,   // how many layers go to cards
  plain_links    // whether links that are not encrypted may leave the machine
};
inline constexpr Setting kLastSetting = Setting::plain_links;

// A way out, in words for a person who may have no command line. A setting is named last, so that
// its flag can follow.
struct Fix {
  std::string text;
  Setting setting = Setting::none;
};

class Fault final : public std::exception {
 public:
  // text: what is wrong, one line that holds the offending name and the value found (and made one
  // by one_line(), whatever it quotes).
  // fix: what would help; its text may be empty.
  // where: who saw it ("head", "stage 2", "cluster.yaml:14"); may be empty.
  Fault(FaultKind kind, std::string text, std::string where = {});
  Fault(FaultKind kind, std::string text, Fix fix, std::string where = {});

  FaultKind kind() const { return kind_; }
  const std::string& text() const { return text_; }
  const Fix& fix() const { return fix_; }
  const std::string& where() const { return where_; }
  // "where: text; fix" without what is empty. cluster's fault_line() adds the flag.
  const char* what() const noexcept override { return line_.c_str(); }

  // The same fault, as seen at another place.
  Fault at(const std::string& where) const;

 private:
  FaultKind kind_;
  std::string text_, where_, line_;
  Fix fix_;
};

// Throws Fault{input} unless least ≤ value ≤ most.
void check_within(const std::string& name, int64_t value, int64_t least, int64_t most);

// The process exit code for a fault of this kind: 2 for input, 130 for canceled, else 3.
int exit_code(FaultKind kind);

}  // namespace potluck
