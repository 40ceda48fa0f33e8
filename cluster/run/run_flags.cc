// Registers the flags of `potluck run`, and refuses those that contradict each other.
#include "cluster/run/run_flags.h"

#include <CLI/CLI.hpp>

#include "cluster/cli/flag_checks.h"
#include "cluster/ring/remote_shell.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

void add_question_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Question");
  model_name(run->add_option(
      "-m,--model", flags.model,
      "a .gguf file, a safetensors folder, hf:OWNER/REPO[:QUANT], "
      "synthetic:PRESET, demo or demo9 (default: what the cluster that is up has)"));
  run->add_option("-p,--prompt", flags.prompt,
                  "the prompt (default: stdin; if that is a terminal, a chat)")
      ->each([&flags](const std::string&) { flags.prompt_given = true; });
  file_name(run->add_option("-f,--file", flags.prompt_file, "a file that holds the prompt"));
  run->add_option("--system-prompt", flags.system_prompt,
                  "text that the model is given before the conversation");
  one_of(run->add_option("--reasoning", flags.reasoning,
                         "whether the model thinks before it answers (default: off)"),
         {"on", "off"});
  run->add_flag("--raw", flags.raw,
                "leave out the chat format; in a chat, each message then stands alone");
}

void add_answer_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Answer");
  whole_number(
      run->add_option(
          "-n,--predict", flags.max_tokens,
          "the most tokens of an answer; -1: no limit (default: one canvas; in a chat -1)"),
      "N", 1, kMostInt, "-1");
  add_seed_flag(run, flags.seed, "seed of all noise (default: -1, a random one)");
  real_number(
      run->add_option("--temp", flags.temp,
                      "factor of the temperature schedule (default: 1); 0: nothing is drawn, the "
                      "likeliest token is taken, on the model's own schedule"),
      "X", 1e-6, 1e6, 0);
  whole_number(run->add_option("--steps,--diffusion-steps", flags.steps,
                               "the most denoising steps of a canvas (default: the model's)"),
               "N", 1, kStepsMax);
}

void add_display_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Display");
  one_of(
      run->add_option(
          "--show,--diffusion-visual", flags.display.show,
          "the canvas at each step (default on a terminal), the text of finished canvases, or the "
          "answer alone"),
      {"canvas", "text", "none"});
  one_of(run->add_option("--color", flags.display.color,
                         "colour on stderr (default: auto, which heeds NO_COLOR)"),
         {"auto", "always", "never"});
  run->add_flag("--json", flags.display.json, "print one JSON object instead of the answer");
  add_log_flags(run, flags.log);
}

void add_cluster_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Cluster");
  file_name(run->add_option("--cluster", flags.cluster,
                            "a cluster file: start its workers, ask, and end them"));
  run->add_option("--ssh", flags.ssh, kRemoteShellHelp)->type_name("CMD");
  add_reach_flags(run, flags.reach);
}

// Flags that say how a ring is to be started have no meaning for one that is up.
void check_reached(const RunFlags& flags) {
  const bool starts = !flags.model.empty() || !flags.cluster.empty();
  if (starts && flags.reach.name != kClusterName)
    throw Fault(FaultKind::input, "--name asks a cluster that is up; leave out -m and --cluster");
  if (starts && !flags.reach.connect.empty())
    throw Fault(FaultKind::input,
                "--connect asks a cluster that is up; leave out -m and --cluster");
  if (!starts && flags.ring_given)
    throw Fault(
        FaultKind::input,
        "the flags of group Ring are for a ring that is started here, and no model is named",
        Fix{"give -m MODEL, or leave them out to ask the cluster that is up"});
}

}  // namespace

void add_run_flags(CLI::App* run, RunFlags& flags) {
  add_question_flags(run, flags);
  add_answer_flags(run, flags);
  add_ring_flags(run, flags.ring);
  run->add_flag("--no-recovery", flags.no_recovery,
                "end with the first worker that is lost (default: go on with what is left)");
  add_cluster_flags(run, flags);
  add_display_flags(run, flags);
}

void check_together(const RunFlags& flags) {
  const auto both = [](bool a, bool b, const char* text) {
    if (a && b) throw Fault(FaultKind::input, text);
  };
  both(flags.prompt_given, !flags.prompt_file.empty(),
       "-p and -f both give a prompt; leave one of them out");
  both(flags.raw, !flags.system_prompt.empty(),
       "--raw has no place for --system-prompt; leave one of them out");
  both(flags.raw, flags.reasoning == "on",
       "--raw has no place for --reasoning on; leave one of them out");
  check_reached(flags);
  check_ring_flags(flags.ring);
  if (!flags.cluster.empty()) check_beside_cluster(flags.ring);
}

}  // namespace potluck
