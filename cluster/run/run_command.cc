// potluck run: gives one answer, or holds a chat.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/json_line.h"
#include "cluster/ring/mpi_ranks.h"
#include "cluster/run/backing.h"
#include "cluster/run/chat.h"
#include "cluster/run/prompt.h"
#include "cluster/run/run_flags.h"
#include "cluster/run/run_report.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

class RunCommand {
 public:
  RunCommand(const RunFlags& flags, const CommandLine& line, std::shared_ptr<MpiJob> job)
      : flags_(flags),
        seed_(seed_or_random(flags.seed)),
        display_(display_of(flags.display, line.surroundings)),
        prompt_(is_chat(flags) ? "" : read_prompt(flags)),
        backing_(flags, line, std::move(job)),
        tokenizer_(backing_.vocabulary()),
        plan_(backing_.plan()) {
    for (const std::string& note : backing_.notes()) spdlog::info(one_line(note));
    for (const std::string& note : tokenizer_.notes()) spdlog::info(one_line(note));
    if (is_demo(backing_.model()) && !flags_.raw)
      spdlog::warn("the demo model has learnt puzzles alone and no chat format; give --raw");
    if (!flags_.seed) spdlog::info("seed {}", seed_);
  }

  static bool is_chat(const RunFlags& flags) {
    return !flags.prompt_given && flags.prompt_file.empty() && isatty(STDIN_FILENO);
  }

  int answer() {
    Request request = base_request();
    request.prompt = prompt_ids(prompt_, flags_, tokenizer_, spec());
    check_prompt_fits(request.prompt.size(), spec().canvas, plan_.ctx_size);
    const int wanted = flags_.max_tokens.value_or(spec().canvas);
    request.max_tokens = limited(wanted, request.prompt.size());
    display_.endless = wanted == kUntilTheEnd;
    spdlog::debug("prompt of {} tokens{}", request.prompt.size(),
                  flags_.log.verbose ? ": " + tokenizer_.decode(request.prompt) : "");
    catch_interrupts();
    const std::unique_ptr<Answerer> ring = backing_.start();
    const EchoOff quiet(isatty(STDIN_FILENO) && display_.stderr_terminal);
    AnswerView view(tokenizer_, display_, request, spec().canvas);
    const RequestResult result = ring->ask(request, view.events());
    view.finish();
    if (const std::string line = empty_line(result, view.text()); !line.empty())
      std::fprintf(stderr, "%s\n", line.c_str());
    if (display_.json) print_json(result, view.text(), ring->plan());
    for (const std::string& line : report_lines(result, ring->plan(), spec().canvas, wanted))
      spdlog::info(line);
    return 0;
  }

  int chat() {
    std::optional<Conversation> conversation;
    if (!flags_.raw)
      conversation.emplace(tokenizer_, ChatOptions{flags_.reasoning == "on"}, flags_.system_prompt);
    const int wanted = flags_.max_tokens.value_or(kUntilTheEnd);
    display_.endless = wanted == kUntilTheEnd;
    display_.estimate = false;
    catch_interrupts();
    const std::unique_ptr<Answerer> ring = backing_.start();
    ChatSession session(*ring, tokenizer_, std::move(conversation),
                        {base_request(), wanted, spec().canvas});
    potluck::chat(
        *ring, session,
        {tokenizer_, display_, backing_.model(), spec().canvas, flags_.raw, flags_.log.verbose});
    return 0;
  }

 private:
  const ModelSpec& spec() const { return backing_.spec(); }

  Request base_request() const {
    Request request;
    request.seed = seed_;
    request.generation = spec().generation;
    request.generation.eos_ids = tokenizer_.stop_ids(spec().generation.eos_ids);
    if (flags_.temp == 0) request.draw = Draw::argmax;
    const double factor = flags_.temp == 0 ? 1 : flags_.temp;
    request.generation.t_min *= factor;
    request.generation.t_max *= factor;
    if (flags_.steps) request.generation.max_steps = flags_.steps;
    return request;
  }

  // The limit -n, or what the context has room for, with a warning.
  int limited(int wanted, size_t prompt) const {
    const int most = tokens_at_most(wanted, prompt, spec().canvas, plan_.ctx_size);
    if (wanted > most)
      spdlog::warn(
          "the context of {} has no room for -n {} behind a prompt of {} tokens: the answer ends "
          "after {} tokens; raise -c",
          plan_.ctx_size, wanted, prompt, most);
    return most;
  }

  void print_json(const RequestResult& result, const AnswerText& text, const Plan& plan) const {
    nlohmann::json json = report_json(result, plan, spec().canvas);
    json["text"] = text.answer;
    if (!text.thought.empty()) json["thought"] = text.thought;
    json["seed"] = seed_;
    json["model"] = backing_.model();
    std::puts(json_line(json).c_str());
  }

  const RunFlags flags_;
  const uint64_t seed_;
  Display display_;
  const std::string prompt_;
  Backing backing_;
  const Tokenizer tokenizer_;
  const Plan plan_;
};

// A rank of MPI that is not the coordinator works by the same flags.
int work(const RunFlags& flags, const CommandLine& line, const std::shared_ptr<MpiJob>& job) {
  WorkerOptions options;
  options.threads = flags.ring.threads;
  options.ranges = flags.ring.ranges;
  return work_on_rank(job, open_model(flags.model, line.places), options);
}

int run(RunFlags flags, const CommandLine& line) {
  check_together(flags);
  RingOptions& ring = flags.ring.options;
  std::shared_ptr<MpiJob> job;
  if (flags.ring.transport == "mpi") job = join_mpi_job();
  const bool is_worker = job && job->rank() > 0;
  flags.log.quiet = is_worker ? !flags.log.verbose : flags.display.show == "none";
  set_up_log(flags.log);
  if (is_worker) return work(flags, line, job);
  const int wanted = ring.split.empty() ? flags.ring.stages_given * ring.stages : ring.split.size();
  if (job) ring.stages = stages_on_ranks(job->size(), wanted);
  if (flags.display.json && RunCommand::is_chat(flags))
    throw Fault(FaultKind::input, "--json needs a prompt; give -p TEXT, -f FILE, or stdin");
  check_utf8(flags.system_prompt, "--system-prompt");
  RunCommand command(flags, line, job);
  return RunCommand::is_chat(flags) ? command.chat() : command.answer();
}

}  // namespace

void add_run(CommandLine& line) {
  const auto flags = std::make_shared<RunFlags>();
  CLI::App* sub = line.app.add_subcommand("run", "answer a prompt, or chat");
  add_run_flags(sub, *flags);
  sub->callback([&line, flags, sub] {
    for (const CLI::Option* option : sub->get_options())
      flags->ring_given |= option->get_group() == "Ring" && option->count() > 0;
    line.chosen = [&line, flags] { return run(*flags, line); };
  });
}

}  // namespace potluck
