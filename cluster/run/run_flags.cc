#include "cluster/run/run_flags.h"

#include <CLI/CLI.hpp>

#include "cluster/cli/flag_checks.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

void add_question_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Question");
  run->add_option("-m,--model", flags.model,
                  "a .gguf file, a safetensors folder, hf:OWNER/REPO[:QUANT], "
                  "synthetic:PRESET, demo or demo9")
      ->required()
      ->type_name("MODEL");
  run->add_option("-p,--prompt", flags.prompt, "the prompt (default: stdin; a terminal: chat)")
      ->each([&flags](const std::string&) { flags.prompt_given = true; });
  file_name(run->add_option("-f,--file", flags.prompt_file, "a file that holds the prompt"));
  run->add_option("--system-prompt", flags.system_prompt,
                  "what the model is told before the conversation");
  one_of(
      run->add_option("--reasoning", flags.reasoning, "let the model think first (default: off)"),
      {"on", "off"});
  run->add_flag("--raw", flags.raw, "no chat format: BOS and the prompt; a chat without history");
}

void add_answer_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Answer");
  whole_number(run->add_option(
                   "-n,--predict", flags.max_tokens,
                   "tokens at most; -1: until the answer ends (default: one canvas; in a chat -1)"),
               "N", 1, kMostInt, "-1");
  add_seed_flag(run, flags.seed, "of all noise (default: -1, a random one)");
  real_number(run->add_option("--temp", flags.temp, "scales the temperature schedule (default: 1)"),
              "X", 1e-6, 1e6);
  whole_number(run->add_option("--steps,--diffusion-steps", flags.steps,
                               "denoising steps a canvas at most (default: the model's)"),
               "N", 1, kStepsMax);
}

void add_display_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Display");
  one_of(run->add_option(
             "--show,--diffusion-visual", flags.display.show,
             "the canvas, redrawn each step (default on a terminal); the text of each canvas "
             "when it is finished; or only the answer and errors"),
         {"canvas", "text", "none"});
  one_of(run->add_option("--color", flags.display.color,
                         "on stderr (default: auto; NO_COLOR is heeded)"),
         {"auto", "always", "never"});
  run->add_flag("--json", flags.display.json, "one JSON object on stdout instead of the answer");
  add_log_flags(run, flags.log);
}

}  // namespace

void add_run_flags(CLI::App* run, RunFlags& flags) {
  add_question_flags(run, flags);
  add_answer_flags(run, flags);
  add_ring_flags(run, flags.ring);
  add_display_flags(run, flags);
}

void check_together(const RunFlags& flags) {
  const auto both = [](bool a, bool b, const char* text) {
    if (a && b) throw Fault(FaultKind::input, text);
  };
  both(flags.prompt_given, !flags.prompt_file.empty(),
       "-p and -f are both given; the prompt is one of them");
  both(flags.raw, !flags.system_prompt.empty(),
       "--raw has no place for --system-prompt; leave one of them");
  both(flags.raw, flags.reasoning == "on", "--raw has no --reasoning; leave one of them");
  check_ring_flags(flags.ring);
}

}  // namespace potluck
