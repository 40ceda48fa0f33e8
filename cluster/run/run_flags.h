// The flags of `potluck run`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/cli/log.h"
#include "cluster/ring/reach_cluster.h"
#include "cluster/ring/ring_flags.h"
#include "cluster/terminal/display.h"

namespace CLI {
class App;
}

namespace potluck {

struct RunFlags {
  // what is asked
  std::string model, prompt, prompt_file, system_prompt, reasoning = "off";
  bool prompt_given = false, raw = false;
  // how it is answered
  std::optional<int> max_tokens;  // or kUntilTheEnd
  std::optional<uint64_t> seed;   // none: a random one
  double temp = 1.0;              // 0: Draw::argmax
  int steps = 0;                  // 0: the model's own
  // by whom
  RingFlags ring;
  bool no_recovery = false;
  bool ring_given = false;   // any of them
  std::string cluster, ssh;  // a cluster file, to be started for this alone
  ReachFlags reach;          // a cluster that is up: where neither it nor a model is named
  // what is seen of it
  DisplayFlags display;
  LogOptions log;
};

void add_run_flags(CLI::App* run, RunFlags& flags);
// Throws Fault{input} for flags that contradict each other.
void check_together(const RunFlags& flags);

}  // namespace potluck
