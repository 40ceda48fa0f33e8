// potluck worker: a process with one worker, which waits for a coordinator and runs a part of a
// model on one device.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backends/gpu/open_card.h"
#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/lifeline.h"
#include "cluster/cli/log.h"
#include "cluster/cli/owner_watch.h"
#include "cluster/cli/sleep_lock.h"
#include "cluster/launch/stage_fetch.h"
#include "cluster/ring/key_file.h"
#include "cluster/ring/link_keys.h"
#include "cluster/ring/mpi_ranks.h"
#include "cluster/ring/worker_host.h"
#include "shard/card_links.h"
#include "shard/worker.h"
#include "topology/base/byte_size.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"
#include "topology/base/version.h"
#include "topology/cluster/courtesy.h"
#include "topology/model/locator.h"
#include "topology/plan/plan.h"
#include "transport/make_transport.h"

namespace potluck {
namespace {

struct WorkerFlags {
  std::string yield;
  std::string model, listen = "tcp://127.0.0.1:7000", name, device = "cpu", isa, memory,
                     transport = "zmq";
  int threads = 0;
  bool pin = false, ranges = false;
  bool local = false, end_with_stdin = false, insecure_plaintext = false;
  std::vector<std::string> allow;
  Address fetch_from;
  LogOptions log;
};

WorkerOptions worker_options(const WorkerFlags& flags) {
  WorkerOptions options;
  options.name = flags.name;
  options.device = flags.device;
  options.isa = flags.isa;
  options.pin = flags.pin;
  options.ranges = flags.ranges;
  options.threads = flags.threads;
  options.memory_bytes = flags.memory.empty() ? 0 : parse_bytes(flags.memory);
  options.exit_on_shutdown = flags.local && !flags.end_with_stdin;
  options.log = [](const std::string& line) { spdlog::info(line); };
  return options;
}

int run_on_rank(WorkerFlags flags, const ModelPlaces& places) {
  const std::shared_ptr<MpiJob> job = join_mpi_job();
  flags.log.quiet = !flags.log.verbose;
  set_up_log(flags.log);
  if (job->rank() == 0)
    throw Fault(FaultKind::input, "rank 0 of an MPI job coordinates and cannot be a worker",
                Fix{"start it as: mpirun -np 1 potluck run … : -np 3 potluck worker …, each with "
                    "--transport mpi"});
  return work_on_rank(job, open_model(flags.model, places), worker_options(flags));
}

void check_allowed(const WorkerFlags& flags) {
  if (flags.insecure_plaintext && !flags.allow.empty())
    throw Fault(FaultKind::input,
                "--allow is for locked links and --insecure-plaintext for others; leave one out");
  for (const std::string& key : flags.allow)
    if (!is_key(key))
      throw Fault(FaultKind::input, "--allow " + key + " is no key",
                  Fix{"it must be the " + std::to_string(kKeyDigits) +
                      " digits that potluck key shows on the coordinator's machine"});
}

void check_fetch(const Address& from) {
  if (from.endpoint.empty() && !from.key.empty())
    throw Fault(FaultKind::input, "--fetch-key is the key of --fetch-from; give that too");
  if (from.endpoint.starts_with("tcp://") && !is_key(from.key))
    throw Fault(FaultKind::input, "--fetch-key " + from.key + " is no key",
                Fix{"it must be what potluck key shows on the machine of --fetch-from"});
}

// Null where nothing of the model is here and all is to be fetched.
std::shared_ptr<const ModelSource> source_here(const WorkerFlags& flags,
                                               const ModelPlaces& places) {
  if (!flags.fetch_from.endpoint.empty() && !is_model_here(flags.model, places)) return nullptr;
  return open_model(flags.model, places);
}

// Whoever has this machine's own key may coordinate it too. Says which keys matter.
std::vector<std::string> coordinators_of(const WorkerFlags& flags, const KeyFile& keys) {
  if (flags.listen.rfind("tcp://", 0) != 0) return {};
  if (flags.insecure_plaintext) {
    spdlog::warn(kPlainLinks);
    return {};
  }
  const std::string own = keys.read_or_make().public_key;
  std::vector<std::string> allowed = flags.allow;
  allowed.push_back(own);
  if (flags.local) return allowed;
  spdlog::info("this machine's key is {}", own);
  if (flags.allow.empty())
    spdlog::info("no other machine may coordinate this worker; --allow KEY lets one");
  return allowed;
}

// Leaves the device to its owner and takes it back, as --yield says.
class OwnersTurn {
 public:
  OwnersTurn(const std::string& yield, const std::string& device)
      : courtesy_(yield.empty() ? Courtesy() : parse_courtesy(yield)),
        rule_(courtesy_),
        watch_({}, card_of(device), [](const std::string& text) { spdlog::warn(text); }) {}

  void look(Time now, Worker& worker) {
    if (!yields(courtesy_) || now < next_) return;
    next_ = now + from_seconds(kLookSeconds);
    const auto why = rule_.look(now, watch_.look(now));
    if (why.has_value() != away_)
      spdlog::info(why ? "leaves the device to its owner: " + *why : "takes the device back");
    away_ = why.has_value();
    worker.rest(away_);
  }

 private:
  static constexpr double kLookSeconds = 1;

  // Says so if nobody can tell who uses the card.
  std::unique_ptr<CardWatch> card_of(const std::string& device) const {
    if (!courtesy_.when_busy || card_vendor(device).empty()) return nullptr;
    try {
      return watch_card(device, open_card(device)->facts().address, {});
    } catch (const Fault& fault) {
      spdlog::warn("--yield busy sees others use the CPU, but not {}: {}", device, fault.what());
      return nullptr;
    }
  }

  const Courtesy courtesy_;
  YieldRule rule_;
  OwnerWatch watch_;
  Time next_{};
  bool away_ = false;
};

// A worker that ends with its starter may follow one whose starter was killed a moment ago, and
// which still holds the port.
std::string listen(Transport& transport, const WorkerFlags& flags) {
  constexpr double kPortSeconds = 5;
  constexpr std::chrono::milliseconds kGlance(50);
  const Time deadline = now() + from_seconds(flags.end_with_stdin ? kPortSeconds : 0);
  for (;;) {
    try {
      return transport.listen(flags.listen);
    } catch (const Fault& fault) {
      if (fault.kind() != FaultKind::world || now() >= deadline) throw;
      std::this_thread::sleep_for(kGlance);
    }
  }
}

int run_worker(const WorkerFlags& flags, const CommandLine& line) {
  check_allowed(flags);
  check_fetch(flags.fetch_from);
  if (flags.transport == "mpi") return run_on_rank(flags, line.places);
  set_up_log(flags.log);
  OwnersTurn owners_turn(flags.yield, flags.device);
  const KeyFile keys(line.config);
  WorkerOptions options = worker_options(flags);
  options.coordinators = coordinators_of(flags, keys);
  const StageFetch fetch(flags.fetch_from, flags.model, line);
  if (!flags.fetch_from.endpoint.empty())
    options.fetch = [&fetch](LayerRange layers, bool head) { return fetch.fetch(layers, head); };
  Worker worker(source_here(flags, line.places), options);
  const std::unique_ptr<Transport> transport = with_card_links(
      make_transport(flags.transport, {nullptr, [keys] { return keys.read_or_make(); },
                                       flags.insecure_plaintext, nullptr}),
      flags.device, [](const std::string& text) { spdlog::info(text); });
  transport->set_identity(worker.identity());
  const std::string endpoint = listen(*transport, flags);
  if (!flags.local) catch_interrupts();
  if (flags.end_with_stdin) end_with_stdin();
  std::printf("%s%s\n", kWorkerListening, endpoint.c_str());  // worker_processes.cc reads this
  if (flags.end_with_stdin)
    std::printf("%s%s\n%s%s\n", kWorkerKey,
                options.coordinators.empty() ? kNoKeyShown : options.coordinators.back().c_str(),
                kWorkerSoftware, kSoftware);
  std::fflush(stdout);
  SleepLock awake([](const std::string& text) { spdlog::info(text); });
  while (run_once(worker, *transport)) {
    owners_turn.look(now(), worker);
    awake.hold(worker.is_loaded());
    if (interrupt_signal()) return 128 + interrupt_signal();
  }
  return 0;
}

}  // namespace

void add_worker(CommandLine& line) {
  const auto flags = std::make_shared<WorkerFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "worker", "run a part of a model on this machine's device, for a coordinator");
  sub->add_option("-m,--model", flags->model, "this machine's copy of the model (see run --help)")
      ->required()
      ->type_name("MODEL");
  sub->add_option("--listen", flags->listen,
                  "where to listen: tcp://HOST:PORT (* is any free port) or ipc:///PATH")
      ->capture_default_str();
  std::vector<std::string> transports;
  for (const TransportChoice& kind : transport_choices())
    if (kind.leaves_process) transports.push_back(kind.name);
  one_of(sub->add_option("--transport", flags->transport,
                         "what carries messages: zmq, or mpi, as a rank that mpirun starts")
             ->capture_default_str(),
         transports);
  sub->add_option("--name", flags->name, "its name in logs until a plan gives it one");
  sub->add_option("--device", flags->device,
                  "the device that computes: cpu, cuda:N or hip:N (potluck devices lists them)")
      ->capture_default_str();
  sub->add_option(
      "--isa", flags->isa,
      "instruction set of fast products: amx, avx512, avx2 or portable (default: the best here)");
  sub->add_option("--memory", flags->memory,
                  "the most memory to use, such as 6GiB (default: what is free)");
  sub->add_flag("--pin", flags->pin, "bind each thread to a core of its own (taskset says which)");
  whole_number(sub->add_option("-t,--threads", flags->threads,
                               "CPU threads (default: the plan's, or all cores)"),
               "N", 1, kThreadsMax);
  sub->add_flag("--ranges", flags->ranges, kRangesHelp);
  sub->add_option("--allow", flags->allow,
                  "the public key of a machine that may coordinate this worker (what potluck key "
                  "shows there); once for each")
      ->type_name("KEY")
      ->allow_extra_args(false);
  sub->add_option("--fetch-from", flags->fetch_from.endpoint,
                  "where this worker fetches what its machine lacks of its part of the model: the "
                  "tcp://HOST:PORT of potluck share, or of a coordinator that gives its own")
      ->type_name("ENDPOINT");
  sub->add_option("--fetch-key", flags->fetch_from.key, "the key of the machine there")
      ->type_name("KEY");
  sub->add_flag("--insecure-plaintext", flags->insecure_plaintext,
                "do not lock links over TCP: for a network that you trust, at an address of it");
  sub->add_option("--yield", flags->yield, kYieldHelp);
  sub->add_flag("--local", flags->local, "end with the coordinator, as workers do that run starts");
  sub->add_flag("--end-with-stdin", flags->end_with_stdin, kEndWithStdinHelp);
  add_log_flags(sub, flags->log);
  sub->callback(
      [&line, flags] { line.chosen = [flags, &line] { return run_worker(*flags, line); }; });
}

}  // namespace potluck
