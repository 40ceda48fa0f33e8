#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <optional>
#include <random>

#include "cluster/canvas_view.h"
#include "cluster/commands.h"
#include "cluster/interrupt.h"
#include "cluster/log.h"
#include "cluster/ring.h"
#include "cluster/ring_plan.h"
#include "cluster/run_report.h"
#include "coordinator/chat_template.h"
#include "coordinator/tokenizer.h"
#include "topology/fault.h"
#include "topology/mapped_file.h"
#include "topology/plan_yaml.h"
#include "topology/utf8.h"

namespace potluck {
namespace {

constexpr uint64_t kPromptBytesMax = 64u << 20;

struct Flags {
  std::string model, prompt, prompt_file, system_prompt;
  std::string reasoning = "off", show, color = "auto", stream = "bf16", precision = "exact";
  std::string plan, transport;
  RingOptions ring;
  int threads = 0;
  double step_timeout = 0;
  bool insecure_plaintext = false;
  LogOptions log;
  int max_tokens = 0, steps = 0;
  double temp = 1.0;
  std::optional<uint64_t> seed;
  bool raw = false, json = false, no_color = false;
};

std::string read_prompt(const Flags& flags) {
  std::string text = flags.prompt;
  if (!flags.prompt_file.empty()) text = read_text_file(flags.prompt_file, kPromptBytesMax);
  if (flags.prompt.empty() && flags.prompt_file.empty() && !isatty(STDIN_FILENO))
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  if (text.empty())
    throw Fault(FaultKind::input, "the prompt is empty; give -p TEXT, -f FILE, or text on stdin");
  if (!utf8_valid(text))
    throw Fault(FaultKind::input,
                "the prompt is not valid UTF-8; convert it first (iconv -t UTF-8)");
  return text;
}

std::vector<int32_t> prompt_ids(const Flags& flags, const Tokenizer& tokenizer,
                                const ModelSpec& spec) {
  const std::string text = read_prompt(flags);
  if (flags.raw) return raw_prompt(tokenizer, text, spec.generation.bos_id);
  std::vector<ChatTurn> turns;
  if (!flags.system_prompt.empty()) turns.push_back({Role::system, flags.system_prompt});
  turns.push_back({Role::user, text});
  return chat_prompt(tokenizer, turns, {flags.reasoning == "on"});
}

Request make_request(const Flags& flags, const Tokenizer& tokenizer, const ModelSpec& spec,
                     uint64_t seed) {
  Request request;
  request.prompt = prompt_ids(flags, tokenizer, spec);
  request.max_tokens = flags.max_tokens ? flags.max_tokens : spec.canvas;
  request.noise.seed = seed;
  request.generation = spec.generation;
  request.generation.eos_ids = tokenizer.stop_ids(spec.generation.eos_ids);
  request.generation.t_min *= flags.temp;
  request.generation.t_max *= flags.temp;
  if (flags.steps) request.generation.max_steps = flags.steps;
  return request;
}

uint64_t random_seed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

bool wants_color(const Flags& flags) {
  if (flags.color != "auto") return flags.color == "always";
  return !flags.no_color && isatty(STDERR_FILENO);
}

Show wants_show(const Flags& flags) {
  if (flags.show.empty()) return isatty(STDERR_FILENO) && !flags.json ? Show::canvas : Show::text;
  return flags.show == "canvas" ? Show::canvas : flags.show == "text" ? Show::text : Show::none;
}

// The most that is left: all steps of all canvases at the first step's pace.
void print_estimate(const StepReport& report, const Request& request, int canvas) {
  const int canvases = (request.max_tokens + canvas - 1) / canvas;
  const double left = report.step_ms / 1e3 * (report.max_steps * canvases - 1);
  std::fprintf(stderr, "first step %.0f ms; at most %.0f s left\n", report.step_ms, left);
}

std::string answer_text(const Tokenizer& tokenizer, const RequestResult& result,
                        const Request& request) {
  std::vector<int32_t> ids = result.ids;
  if (result.stopped_by_end_id && !ids.empty()) ids.pop_back();
  std::erase(ids, request.generation.pad_id);
  return tokenizer.decode(ids);
}

void print_json(const Flags& flags, const std::string& text, const RequestResult& result,
                const Plan& plan, const ModelSpec& spec, uint64_t seed) {
  nlohmann::json json = report_json(result, plan, spec.canvas);
  json["text"] = text;
  json["seed"] = seed;
  json["model"] = flags.model;
  std::puts(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

Plan plan_of(const Flags& flags, const ModelSource& source) {
  if (flags.plan.empty()) return make_plan(source, flags.ring);
  if (flags.ring.stages > 1 || !flags.ring.split.empty())
    throw Fault(FaultKind::input, "--plan says who runs which layers; leave --stages and --split");
  Plan plan = read_plan(flags.plan);
  if (flags.ring.ctx_size) plan.ctx_size = flags.ring.ctx_size;
  if (flags.ring.chunk) plan.chunk = flags.ring.chunk;
  return plan;
}

// One stage is this process; more are processes of their own, unless --transport inproc.
RingSetup setup_of(const Flags& flags, const Plan& plan, const std::string& program) {
  RingSetup setup;
  const bool processes = flags.transport.empty() ? plan.stage_count() > 1 || !flags.plan.empty()
                                                 : flags.transport == "zmq";
  if (!processes && !flags.plan.empty())
    throw Fault(FaultKind::input, "--transport inproc cannot reach the workers of --plan " +
                                      flags.plan + "; leave it, or give --stages");
  setup.hosting = processes ? Hosting::processes : Hosting::threads;
  setup.program = program;
  setup.model = flags.model;
  setup.threads = flags.threads;
  setup.insecure_plaintext = flags.insecure_plaintext;
  setup.step_timeout_seconds = flags.step_timeout;
  setup.log = [](const std::string& line) { spdlog::info(line); };
  return setup;
}

int run(Flags flags, const ModelPlaces& places, const std::string& program) {
  set_up_log(flags.log);
  if (flags.precision != "exact")
    throw Fault(FaultKind::input,
                "--precision " + flags.precision + " is not in this build, which has: exact");
  const std::shared_ptr<const ModelSource> source = open_model(flags.model, places);
  const ModelSpec& spec = source->spec();
  const Tokenizer tokenizer(source->vocabulary());
  const uint64_t seed = flags.seed ? *flags.seed : random_seed();
  const Request request = make_request(flags, tokenizer, spec, seed);
  flags.ring.f32 = flags.stream == "f32";
  const Show show = wants_show(flags);
  const bool quiet = show == Show::none;
  if (!flags.seed && !flags.json) spdlog::info("seed {}", seed);
  catch_interrupts();
  const Plan plan = plan_of(flags, *source);
  Ring ring(source, plan, setup_of(flags, plan, program));
  CanvasView view(tokenizer, wants_color(flags), isatty(STDERR_FILENO));
  PipelineEvents events;
  bool first = true;
  events.step = [&](const StepReport& report) {
    if (first && !quiet) print_estimate(report, request, spec.canvas);
    first = false;
    if (show == Show::canvas) view.draw(report);
  };
  const RequestResult result = ring.ask(request, std::move(events));
  view.clear();
  const std::string text = answer_text(tokenizer, result, request);
  if (flags.json)
    print_json(flags, text, result, ring.plan(), spec, seed);
  else
    std::puts(text.c_str());
  if (!quiet && !flags.json)
    for (const std::string& line : report_lines(result, ring.plan(), spec.canvas))
      std::fprintf(stderr, "%s\n", line.c_str());
  return 0;
}

void add_text_flags(CLI::App* sub, Flags& flags) {
  sub->add_option(
         "-m,--model", flags.model,
         "a .gguf file, a safetensors folder, hf:OWNER/REPO[:QUANT], synthetic:PRESET or demo")
      ->required();
  sub->add_option("-p,--prompt", flags.prompt, "the prompt (default: stdin)");
  sub->add_option("-f,--file", flags.prompt_file, "a file that holds the prompt");
  sub->add_option("--system-prompt", flags.system_prompt, "goes before the prompt");
  sub->add_option("--reasoning", flags.reasoning, "let the model think first: on or off")
      ->check(CLI::IsMember({"on", "off"}));
  sub->add_flag("--raw", flags.raw, "no chat template: BOS and the prompt");
  sub->add_option("-n,--predict", flags.max_tokens, "tokens at most (default: one canvas)")
      ->check(CLI::PositiveNumber);
  sub->add_option("-s,--seed", flags.seed, "of all noise (default: random, and printed)");
  sub->add_option("--temp", flags.temp, "scales the temperature schedule")
      ->check(CLI::PositiveNumber);
  sub->add_option("--steps,--diffusion-steps", flags.steps, "denoising steps a canvas at most")
      ->check(CLI::Range(1, 255));
}

void add_ring_flags(CLI::App* sub, Flags& flags) {
  sub->add_option("-c,--ctx-size", flags.ring.ctx_size, "tokens a session may hold (default: 8192)")
      ->check(CLI::PositiveNumber);
  sub->add_option("-t,--threads", flags.threads,
                  "CPU threads, shared by local workers (default: all cores)")
      ->check(CLI::Range(1, 64));
  sub->add_option("--stages", flags.ring.stages, "stages to split the layers over")
      ->check(CLI::PositiveNumber);
  sub->add_option("--plan", flags.plan, "a plan file: who runs which layers, and where");
  sub->add_option("--transport", flags.transport,
                  "of local stages: zmq (processes; default with --stages) or inproc (threads)")
      ->check(CLI::IsMember({"zmq", "inproc"}));
  sub->add_option("--step-timeout", flags.step_timeout,
                  "seconds without an answer after which the ring has failed (default: 30, or 5 × "
                  "the slowest step seen)")
      ->check(CLI::PositiveNumber);
  sub->add_flag("--insecure-plaintext", flags.insecure_plaintext,
                "workers started here may listen beyond this machine, unencrypted");
  sub->add_option("--split", flags.ring.split, "layers of each stage: 8,8,14")->delimiter(',');
  sub->add_option("--chunk", flags.ring.chunk, "prompt tokens in one encode message")
      ->check(CLI::PositiveNumber);
  sub->add_option("--stream", flags.stream, "residual stream: bf16 (KV f16) or f32 (KV too)")
      ->check(CLI::IsMember({"bf16", "f32"}));
  sub->add_option("--precision", flags.precision, "exact: the reference arithmetic");
  sub->add_option("--show,--diffusion-visual", flags.show,
                  "on stderr: canvas (default on a terminal), text or none")
      ->check(CLI::IsMember({"canvas", "text", "none"}));
  sub->add_option("--color", flags.color, "auto, always or never; NO_COLOR is heeded")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  sub->add_flag("--json", flags.json, "one JSON object on stdout");
}

}  // namespace

void add_run(CommandLine& line) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* sub = line.app.add_subcommand("run", "one answer");
  add_text_flags(sub, *flags);
  add_ring_flags(sub, *flags);
  add_log_flags(sub, flags->log);
  sub->callback([&line, flags] {
    flags->no_color = line.no_color;
    line.chosen = [flags, places = line.places, program = line.program] {
      return run(*flags, places, program);
    };
  });
}

}  // namespace potluck
