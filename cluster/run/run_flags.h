// The flags of `potluck run`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cluster/cli/log.h"
#include "cluster/ring/ring_plan.h"
#include "cluster/terminal/answer_view.h"

namespace potluck {

inline constexpr int kUntilTheEnd = -1;  // -n: as many tokens as the answer takes

struct RunFlags {
  // what is asked
  std::string model, prompt, prompt_file, system_prompt, reasoning = "off";
  bool prompt_given = false, raw = false;
  // how it is answered
  std::optional<int> max_tokens;
  std::optional<uint64_t> seed;  // none: a random one
  double temp = 1.0;
  int steps = 0;  // 0: the model's own
  // by whom
  RingOptions ring;
  std::string plan, transport, stream, precision;
  int threads = 0;
  double step_timeout = 0;
  bool insecure_plaintext = false;
  // what is seen of it
  std::string show, color = "auto";
  bool json = false;
  LogOptions log;
};

void add_run_flags(CLI::App* run, RunFlags& flags);
// Throw Fault{input} for flags that do not go together.
void check_split(const RingOptions& ring);
void check_together(const RunFlags& flags);

// What main knows of the person's wishes and terminal.
struct Surroundings {
  bool no_color = false;       // NO_COLOR is set
  bool dumb_terminal = false;  // TERM says that the cursor cannot be moved
};
Display display_of(const RunFlags& flags, const Surroundings& surroundings);

}  // namespace potluck
