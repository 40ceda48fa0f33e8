#include "cluster/run/run_flags.h"

#include <fmt/format.h>
#include <unistd.h>

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

void add_ring_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Ring");
  whole_number(run->add_option("-c,--ctx-size", flags.ring.ctx_size,
                               "tokens a session may hold (default: 8192, or the model's most)"),
               "N", 1, kMostInt);
  whole_number(run->add_option("-t,--threads", flags.threads,
                               "CPU threads, shared by local workers (default: all cores)"),
               "N", 1, kThreadsMax);
  whole_number(run->add_option("--stages", flags.ring.stages,
                               "split the layers over N local stages, by cost"),
               "N", 1, kMaxStages);
  whole_number(
      run->add_option("--split", flags.ring.split, "the same, layers of each stage: 8,8,14")
          ->delimiter(','),
      "N,N", 1, kMostInt);
  file_name(run->add_option("--plan", flags.plan, "a plan file: who runs which layers, and where"));
  one_of(run->add_option(
             "--transport", flags.transport,
             "of local stages: processes (zmq; default with --stages) or threads (inproc)"),
         {"zmq", "inproc"});
  whole_number(run->add_option("--chunk", flags.ring.chunk, "prompt tokens in one encode message"),
               "N", 1, kMostInt);
  one_of(run->add_option("--stream", flags.stream,
                         "residual stream: bf16 (KV f16; default) or f32 (KV too)"),
         {"bf16", "f32"});
  one_of(run->add_option("--precision", flags.precision,
                         "of products: fast (default) or exact (the reference)"),
         {"fast", "exact"});
  real_number(
      run->add_option("--step-timeout", flags.step_timeout,
                      "seconds without an answer after which the ring has failed (default: 30, "
                      "or 5 × the slowest step seen)"),
      "S", 1e-3, 1e9);
  run->add_flag("--insecure-plaintext", flags.insecure_plaintext,
                "workers started here may listen beyond this machine, unencrypted");
}

void add_display_flags(CLI::App* run, RunFlags& flags) {
  run->option_defaults()->group("Display");
  one_of(run->add_option(
             "--show,--diffusion-visual", flags.show,
             "the canvas, redrawn each step (default on a terminal); the text of each canvas "
             "when it is finished; or only the answer and errors"),
         {"canvas", "text", "none"});
  one_of(run->add_option("--color", flags.color, "on stderr (default: auto; NO_COLOR is heeded)"),
         {"auto", "always", "never"});
  run->add_flag("--json", flags.json, "one JSON object on stdout instead of the answer");
  add_log_flags(run, flags.log);
}

Show show_of(const RunFlags& flags, bool terminal) {
  if (flags.show.empty()) return terminal && !flags.json ? Show::canvas : Show::text;
  return flags.show == "canvas" ? Show::canvas : flags.show == "text" ? Show::text : Show::none;
}

}  // namespace

void add_run_flags(CLI::App* run, RunFlags& flags) {
  add_question_flags(run, flags);
  add_answer_flags(run, flags);
  add_ring_flags(run, flags);
  add_display_flags(run, flags);
}

void check_split(const RingOptions& ring) {
  if (ring.stages == 1 || ring.split.empty() ||
      static_cast<size_t>(ring.stages) == ring.split.size())
    return;
  throw Fault(FaultKind::input, fmt::format("--stages {} contradicts --split {}; leave one of them",
                                            ring.stages, fmt::join(ring.split, ",")));
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
  both(!flags.plan.empty(), flags.ring.stages > 1 || !flags.ring.split.empty(),
       "--plan says who runs which layers; leave --stages and --split");
  check_split(flags.ring);
  both(!flags.plan.empty(), flags.transport == "inproc",
       "--transport inproc cannot reach the workers of a --plan; leave it, or give --stages");
}

Display display_of(const RunFlags& flags, const Surroundings& surroundings) {
  Display display;
  display.stderr_terminal = isatty(STDERR_FILENO) && !surroundings.dumb_terminal;
  display.stdout_terminal = isatty(STDOUT_FILENO);
  display.show = show_of(flags, display.stderr_terminal);
  const bool wanted = display.stderr_terminal && !surroundings.no_color;
  display.color = flags.color == "always" || (flags.color == "auto" && wanted);
  display.json = flags.json;
  return display;
}

}  // namespace potluck
