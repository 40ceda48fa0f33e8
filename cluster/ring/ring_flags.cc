// Registers the flags of a ring, refuses contradictions between them, and makes the plan they mean.
#include "cluster/ring/ring_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>

#include "cluster/cli/flag_checks.h"
#include "cluster/ring/device_rooms.h"
#include "cluster/ring/mpi_ranks.h"
#include "topology/base/fault.h"
#include "topology/plan/plan_yaml.h"
#include "transport/make_transport.h"

namespace potluck {
namespace {

void refuse_both(bool a, bool b, const char* text) {
  if (a && b) throw Fault(FaultKind::input, text);
}

void check_split(const RingOptions& options, bool stages_given) {
  if (!stages_given || options.split.empty() ||
      static_cast<size_t>(options.stages) == options.split.size())
    return;
  throw Fault(FaultKind::input,
              fmt::format("--stages {} contradicts --split {}; leave one of them out",
                          options.stages, fmt::join(options.split, ",")));
}

bool is_auto(const RingFlags& flags) {
  return flags.options.devices == std::vector<std::string>{kAutoDevice} ||
         (flags.options.devices.empty() && flags.options.card_layers);
}

bool is_cut(const RingFlags& flags) {
  return flags.stages_given || !flags.options.split.empty();
}

bool has_card(const std::vector<std::string>& devices) {
  return std::any_of(devices.begin(), devices.end(),
                     [](const std::string& device) { return device != "cpu"; });
}

// Ranks of MPI may be on other machines, whose memory nobody has asked for.
bool is_cut_by_memory(const RingFlags& flags) {
  return !is_cut(flags) && flags.transport != "mpi" &&
         (is_auto(flags) || has_card(flags.options.devices));
}

// Devices whose stages are counted or cut by other flags are one for all, or one for each.
void check_devices(const RingFlags& flags) {
  const RingOptions& options = flags.options;
  const size_t devices = options.devices.size();
  const size_t stages = options.split.empty() ? options.stages : options.split.size();
  if (devices > 1 && is_cut(flags) && devices != stages)
    throw Fault(FaultKind::input,
                fmt::format("--device names {} devices for {} stages; name one, or one for each "
                            "stage",
                            devices, stages));
  const std::set<std::string> names(options.devices.begin(), options.devices.end());
  refuse_both(names.contains(kAutoDevice), devices > 1,
              "--device auto stands for all devices of this machine; name it alone");
  refuse_both(is_cut_by_memory(flags), names.size() < devices,
              "--device names a device twice; say with --split how many layers each stage has");
}

void check_memory_cut(const RingFlags& flags) {
  const bool asks = is_auto(flags) || flags.options.card_layers;
  refuse_both(asks, is_cut(flags),
              "--device auto and --gpu-layers decide how many layers each device has; leave out "
              "--stages and --split");
  refuse_both(flags.options.card_layers.has_value(),
              !is_auto(flags) && !has_card(flags.options.devices),
              "--gpu-layers needs a card in --device");
  refuse_both(asks, flags.transport == "mpi",
              "--device auto and --gpu-layers look at this machine alone; with --transport mpi use "
              "--split");
}

RingOptions options_of(const RingFlags& flags) {
  RingOptions options = flags.options;
  options.f32 = flags.stream == "f32";
  if (flags.precision == "exact") options.precision = Precision::exact;
  return options;
}

// The devices by what they have, and a CPU where not all layers go to cards.
std::vector<DeviceRoom> rooms_for(const RingFlags& flags,
                                  const std::function<void(const std::string&)>& say) {
  if (is_auto(flags)) return auto_rooms(say);
  std::vector<std::string> devices = flags.options.devices;
  const bool has_cpu = std::count(devices.begin(), devices.end(), "cpu");
  if (flags.options.card_layers && !has_cpu) devices.push_back("cpu");
  return rooms_of(devices);
}

Plan plan_in_file(const ModelSpec& spec, const RingFlags& flags) {
  if (!flags.stream.empty() || !flags.precision.empty())
    throw Fault(
        FaultKind::input,
        "--plan " + flags.plan + " already says which stream and precision; change them there");
  Plan plan = read_plan(flags.plan, spec);
  if (flags.options.ctx_size) plan.ctx_size = flags.options.ctx_size;
  if (flags.options.chunk) plan.chunk = flags.options.chunk;
  return plan;
}

void add_host_flags(CLI::App* command, RingFlags& flags) {
  std::vector<std::string> transports;
  std::string help =
      "what carries messages (default: zmq with a --plan or if local workers are processes, else "
      "inproc)";
  for (const TransportChoice& kind : transport_choices()) {
    transports.push_back(kind.name);
    help += "; " + kind.name + ": " + kind.carries;
  }
  one_of(command->add_option("--transport", flags.transport, help), transports);
  one_of(command->add_option("--host", flags.host,
                             "what local workers are (default: processes with more than one stage, "
                             "a --plan or --transport zmq, else threads)"),
         {"processes", "threads"});
}

}  // namespace

void add_plan_flags(CLI::App* command, RingFlags& flags) {
  whole_number(
      command->add_option("-c,--ctx-size", flags.options.ctx_size,
                          "tokens that a session may hold (default: the plan's; else 8192, "
                          "or the model's context if less)"),
      "N", 1, kMostInt);
  whole_number(command
                   ->add_option("--stages", flags.options.stages,
                                "split the layers over N stages of about the same size")
                   ->each([&flags](const std::string&) { flags.stages_given = true; }),
               "N", 1, kMaxStages);
  whole_number(command
                   ->add_option("--split", flags.options.split,
                                "split the layers into stages of so many: 8,8,14")
                   ->delimiter(','),
               "N,N", 1, kMostInt);
  file_name(command->add_option("--plan", flags.plan,
                                "a file that says which worker runs which layers, where, and "
                                "which links go from card to card by NCCL"));
  command
      ->add_option("--device", flags.options.devices,
                   "what computes: cpu (default), cuda:N, hip:N (potluck devices lists them), or "
                   "auto; or several, the first for the head too: cuda:0,cpu fills the card with "
                   "layers and leaves the rest to the CPU")
      ->type_name("DEVICE")
      ->delimiter(',');
  whole_number(command->add_option("--gpu-layers,--ngl", flags.options.card_layers,
                                   "how many layers go to cards (default: as many as fit); also "
                                   "-ngl N"),
               "N", 0, kMostInt);
}

void add_ring_flags(CLI::App* command, RingFlags& flags) {
  command->option_defaults()->group("Ring");
  add_plan_flags(command, flags);
  whole_number(command->add_option(
                   "-t,--threads", flags.threads,
                   "CPU threads of each worker whose plan does not say (default: all cores)"),
               "N", 1, kThreadsMax);
  add_host_flags(command, flags);
  whole_number(
      command->add_option("--chunk", flags.options.chunk,
                          "the most prompt tokens in one message (default: the plan's, or 256)"),
      "N", 1, kMostInt);
  one_of(
      command->add_option("--stream", flags.stream,
                          "type of the residual stream: bf16 (default; KV is f16) or f32 (KV too)"),
      {"bf16", "f32"});
  one_of(command->add_option("--precision", flags.precision,
                             "matrix products: fast (default), or exact as in the reference"),
         {"fast", "exact"});
  real_number(
      command->add_option(
          "--step-timeout", flags.step_timeout,
          "seconds of silence after which the ring has failed (default: 5 times its slowest "
          "answer, at least 30; 1800 before the first answer)"),
      "S", 1e-3, 1e9);
  command->add_flag("--ranges", flags.ranges, kRangesHelp);
  command->add_flag("--insecure-plaintext", flags.insecure_plaintext,
                    "do not lock links over TCP: for workers that were started with this flag too");
}

void check_ring_flags(const RingFlags& flags) {
  refuse_both(!flags.plan.empty(), is_cut(flags),
              "--plan already says who runs which layers; leave out --stages and --split");
  check_split(flags.options, flags.stages_given);
  check_devices(flags);
  check_memory_cut(flags);
  refuse_both(!flags.plan.empty(), !flags.options.devices.empty() || flags.options.card_layers,
              "--plan already says which worker has which device; leave out --device and "
              "--gpu-layers");
  refuse_both(!flags.plan.empty(), flags.transport == "inproc",
              "--transport inproc cannot reach the workers of a --plan; leave one of them out");
  refuse_both(flags.transport == "mpi", !flags.host.empty() || !flags.plan.empty(),
              "--transport mpi runs the workers on the ranks that mpirun starts; leave out --host "
              "and --plan");
  refuse_both(flags.host == "processes", flags.transport == "inproc",
              "--transport inproc carries messages within one process and cannot reach --host "
              "processes; leave one of them out");
}

void check_beside_cluster(const RingFlags& flags) {
  const RingOptions& options = flags.options;
  refuse_both(
      is_cut(flags) || !options.devices.empty() || options.card_layers, true,
      "the cluster file says which devices there are, and the planner which layers they have; "
      "leave out --stages, --split, --device and --gpu-layers, or give --plan");
  refuse_both(
      options.ctx_size || options.chunk || !flags.stream.empty() || !flags.precision.empty(), true,
      "the cluster file has options: for the context and the precision; leave out -c, "
      "--chunk, --stream and --precision");
}

// Each of --host and --transport follows from the other where only one is given.
HostSetup host_setup(const RingFlags& flags, int stages) {
  const bool apart = stages > 1 || !flags.plan.empty();
  const bool processes = flags.transport == "mpi"   ? false
                         : !flags.host.empty()      ? flags.host == "processes"
                         : !flags.transport.empty() ? flags.transport != "inproc"
                                                    : apart;
  HostSetup setup;
  setup.hosting = processes ? Hosting::processes : Hosting::threads;
  setup.transport = !flags.transport.empty()           ? flags.transport
                    : processes || !flags.plan.empty() ? "zmq"
                                                       : "inproc";
  setup.threads = flags.threads;
  setup.ranges = flags.ranges;
  setup.insecure_plaintext = flags.insecure_plaintext;
  return setup;
}

bool leaves_devices_open(const RingFlags& flags) {
  return flags.plan.empty() && flags.options.devices.empty() && !is_cut(flags) &&
         flags.transport != "mpi";
}

OpenPlan open_plan_of(const ModelSource& source, const RingFlags& flags) {
  OpenPlan open{frame_plan(source, options_of(flags)), {}};
  if (is_auto(flags)) {
    open.rooms = auto_rooms([](const std::string&) {});
    return open;
  }
  std::vector<std::string> devices = flags.options.devices;
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
  open.rooms = rooms_of(devices.empty() ? std::vector<std::string>{"cpu"} : devices);
  return open;
}

Plan plan_of(const ModelSource& source, const RingFlags& flags,
             const std::function<void(const std::string& line)>& say) {
  if (!flags.plan.empty()) return plan_in_file(source.spec(), flags);
  RingOptions options = options_of(flags);
  if (!flags.stages_given && options.devices.size() > 1) options.stages = options.devices.size();
  if (is_cut_by_memory(flags)) options.rooms = rooms_for(flags, say);
  Plan plan = make_plan(source, options);
  if (flags.transport == "mpi") place_on_ranks(plan);
  return plan;
}

}  // namespace potluck
