// potluck join: gives this machine to a cluster; potluck leave takes it back.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/host_name.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/log.h"
#include "cluster/cli/owner_watch.h"
#include "cluster/launch/joiner.h"
#include "cluster/launch/stage_fetch.h"
#include "cluster/ring/device_rooms.h"
#include "cluster/ring/device_speed.h"
#include "cluster/ring/key_file.h"
#include "coordinator/membership/admission.h"
#include "coordinator/membership/guest_verbs.h"
#include "coordinator/membership/running_join.h"
#include "topology/base/byte_size.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/cluster/courtesy.h"
#include "topology/model/locator.h"
#include "topology/model/partial_copy.h"
#include "topology/model/synthetic.h"
#include "transport/mdns/mdns.h"
#include "transport/proof/join_token.h"

namespace potluck {
namespace {

constexpr double kLookSeconds = 3;  // for clusters in the network, where there is no token
constexpr double kLeaveSeconds = kLeaveSecondsMax + 30;
constexpr double kReasonSeconds = 2;  // one that leaves without hindrance has gone by then
constexpr double kReasonPatience = 5;
constexpr size_t kKeyShown = 16;  // digits of a key by which people tell two clusters
constexpr int kPortMax = 65535 - 64;
constexpr size_t kNameMax = 64;  // bytes; a device's name comes behind it

struct JoinFlags {
  std::string token, token_file, model, name, device = kAutoDevice, memory, yield;
  int threads = 0, port = 0;
  LogOptions log;
};

void say(const std::string& line) {
  spdlog::info(one_line(line));
}

std::string read_all(std::istream& in) {
  return {std::istreambuf_iterator<char>(in), {}};
}

// The token's words; empty: none was given.
std::string token_words(const JoinFlags& flags) {
  if (flags.token_file.empty()) return flags.token;
  if (!flags.token.empty())
    throw Fault(FaultKind::input, "a token and --token-file are both given; leave one out");
  std::ifstream file(flags.token_file);
  const bool is_stdin = flags.token_file == "-";
  if (!file && !is_stdin)
    throw Fault(FaultKind::input, "cannot read the token file " + flags.token_file,
                Fix{"give the file that holds the token, or - for stdin"});
  std::string words = read_all(is_stdin ? std::cin : file);
  if (words.empty())
    throw Fault(FaultKind::input,
                (is_stdin ? "stdin" : "the token file " + flags.token_file) + " is empty",
                Fix{"put there what potluck token create printed"});
  return words;
}

// On a network anybody can say that he is a cluster, so two of them are told apart by a person.
JoinedCluster only_cluster(const std::vector<FoundCluster>& found) {
  const std::vector<JoinedCluster> clusters = clusters_of(found);
  const std::string with_token = "make a token there, potluck token create, and join with it";
  if (clusters.empty())
    throw Fault(FaultKind::lost, "no cluster was found in this network", Fix{with_token});
  if (clusters.size() == 1) return clusters.front();
  std::string names;
  for (const FoundCluster& each : found)
    names += fmt::format(" {} at {} (key {}…);", one_line(each.said.name), each.address,
                         each.said.cluster_key.substr(0, kKeyShown));
  throw Fault(FaultKind::input, fmt::format("{} clusters were found:{}", clusters.size(), names),
              Fix{with_token});
}

bool asks_person(const std::string& words) {
  if (!isatty(STDIN_FILENO))
    throw Fault(FaultKind::input, "there is no token, and nobody here to compare six words",
                Fix{"join with a token: potluck token create makes one at the coordinator"});
  std::fprintf(stderr,
               "this screen:  %s\nDoes the other machine show the same six words (potluck admit "
               "there)? [y/N] ",
               words.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

class JoinCommand {
 public:
  JoinCommand(const JoinFlags& flags, const CommandLine& line)
      : flags_(flags),
        line_(line),
        name_(flags.name.empty() ? host_name() : flags.name),
        keys_(KeyFile(line.config).read_or_make()),
        file_(joined_cluster_file(line.state)) {}

  int run() {
    JoinerSetup setup;
    setup.entry = {name_, keys_.public_key, "", std::nullopt, false, asks_person};
    check_flags();
    const RunningJoin only(line_.state);
    choose_cluster(setup);
    if (setup.cluster.key == keys_.public_key)
      throw Fault(FaultKind::input, "this machine coordinates that cluster, and computes in it",
                  Fix{"join from another machine"});
    setup.entry.cluster_key = setup.cluster.key;
    setup.remember = [this](const JoinedCluster& cluster) {
      file_.change([&](const auto&) { return text_of(cluster); });
    };
    setup.start_workers = [this, key = setup.cluster.key](const std::string& model,
                                                          const std::string& address,
                                                          const std::string& door) {
      return start_workers({door, key}, model, address);
    };
    setup.say = say;
    catch_interrupts();
    Joiner(WayIn(keys_, search_of_network()), std::move(setup)).stay();
    return 0;
  }

 private:
  // A coordinator that is away is looked for again and again; why the network cannot be searched is
  // said once.
  static FindClusters search_of_network() {
    return [told = std::set<std::string>()](Duration patience) mutable {
      return find_clusters(patience, [&](const std::string& line) {
        if (told.insert(line).second) say(line);
      });
    };
  }

  void choose_cluster(JoinerSetup& setup) const {
    if (const std::string words = token_words(flags_); !words.empty()) {
      const JoinToken token = parse_token(words);
      setup.cluster = {token.cluster_key, token.addresses};
      setup.entry.secret = token.secret;
      setup.entry.knows_cluster = true;
    } else if (const auto text = file_.read()) {
      setup.cluster = joined_cluster_of(*text, file_.path());
      setup.entry.knows_cluster = true;
    } else {
      say("no token, so this network is searched for a cluster");
      setup.cluster = only_cluster(find_clusters(from_seconds(kLookSeconds), say));
    }
  }

  // A flag that is wrong is told of before anybody is asked.
  void check_flags() const {
    if (!is_plain_name(name_) || name_.size() > kNameMax)
      throw Fault(FaultKind::input, "--name \"" + one_line(name_) + "\" is no name for a machine",
                  Fix{fmt::format("give one of at most {} letters that can be seen", kNameMax)});
    if (!flags_.memory.empty()) parse_bytes(flags_.memory);
    if (flags_.device != kAutoDevice) rooms();
  }

  std::vector<DeviceRoom> rooms() const {
    if (flags_.device == kAutoDevice) return auto_rooms(say);
    std::vector<std::string> devices;
    std::istringstream words(flags_.device);
    for (std::string word; std::getline(words, word, ',');) devices.push_back(word);
    return rooms_of(devices);
  }

  // Null if this machine lacks some of it.
  std::unique_ptr<ModelSource> whole_model(const std::string& model) const {
    if (!is_model_here(model, line_.places)) return nullptr;
    auto source = open_model(model, line_.places);
    return partial_note(*source).empty() ? std::move(source) : nullptr;
  }

  // How fast each is, is measured once, with the cluster's model, or with its twin: the planner
  // asks for that.
  std::vector<DeviceSpec> measured_devices(const ModelSource& source) const {
    const std::vector<DeviceRoom> found = rooms();
    const uint64_t most = flags_.memory.empty() ? 0 : parse_bytes(flags_.memory);
    std::vector<DeviceSpec> devices;
    for (const DeviceRoom& room : found) {
      say("measuring " + room.device);
      const int threads = room.is_card() ? 0 : flags_.threads;
      const MeasuredSpeed measured = measure_speed(source, room, threads);
      for (const std::string& why : {measured.problem, measured.left_out})
        if (!why.empty()) say(room.device + ": " + why);
      if (!measured.problem.empty()) continue;
      DeviceSpec device;
      device.name = found.size() == 1 ? name_ : name_ + "-" + room.device;
      device.device = room.device;
      device.memory_bytes = most ? most : room.bytes();
      device.threads = threads;
      device.speed = measured.speed;
      devices.push_back(std::move(device));
    }
    if (devices.empty())
      throw Fault(FaultKind::world, "no device of this machine computes the model",
                  Fix{"potluck doctor says why"});
    return devices;
  }

  std::unique_ptr<OwnWorkers> start_workers(const Address& coordinator, const std::string& model,
                                            const std::string& address) {
    setup_.program = line_.program;
    setup_.model = flags_.model.empty() ? model : flags_.model;
    setup_.coordinator_key = coordinator.key;
    setup_.yield = flags_.yield;
    setup_.port = flags_.port;
    std::unique_ptr<ModelSource> source = whole_model(setup_.model);
    setup_.fetch_from = source ? Address() : coordinator;
    if (!setup_.devices.empty()) return std::make_unique<OwnWorkers>(setup_, address);
    if (!source) {
      say("this machine lacks " + setup_.model + ", and fetches its part when it has one");
      source = make_twin(*StageFetch(coordinator, setup_.model, line_).fetch({}, false));
    }
    setup_.devices = measured_devices(*source);
    return std::make_unique<OwnWorkers>(setup_, address);
  }

  const JoinFlags flags_;
  const CommandLine& line_;
  const std::string name_;
  const LockKeys keys_;
  const PrivateFile file_;
  OwnWorkersSetup setup_;
};

// The coordinator's reason; empty: it has none, or does not answer. To ask once more for what is
// asked for already changes nothing.
std::string why_still_needed(const CommandLine& line) try {
  const PrivateFile file = joined_cluster_file(line.state);
  const auto text = file.read();
  if (!text) return "";
  const WayIn way(KeyFile(line.config).read_or_make(),
                  [](Duration) { return std::vector<FoundCluster>(); });
  std::string why_not;
  const auto door = way.knock(joined_cluster_of(*text, file.path()), why_not);
  if (!door) return "";
  return why_kept(door->client->ask(kLeaveVerb, nlohmann::json::object(), kReasonPatience).body);
} catch (const Fault&) {
  return "";
}

int leave(const CommandLine& line) {
  bool told = false, asked = false;
  leave_running_join(line.state, kLeaveSeconds, [&](pid_t process, double waited) {
    if (!std::exchange(told, true))
      std::fprintf(stderr,
                   "process %d leaves as soon as the ring can do without this machine, in %.0f s "
                   "at most; Ctrl-C there, or potluck leave once more, ends it at once\n",
                   static_cast<int>(process), kLeaveSecondsMax);
    if (waited < kReasonSeconds || std::exchange(asked, true)) return;
    if (const std::string why = why_still_needed(line); !why.empty())
      std::fprintf(stderr, "%s\n", why.c_str());
  });
  return 0;
}

}  // namespace

void add_join(CommandLine& line) {
  const auto flags = std::make_shared<JoinFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "join", "give this machine to a cluster that runs on another one, until Ctrl-C");
  not_empty(sub->add_option(
      "TOKEN", flags->token,
      "what potluck token create printed there; without one, this machine goes back to "
      "the cluster that it was in, or to the one that it finds in this network, if six "
      "words on both screens are the same"));
  file_name(sub->add_option("--token-file", flags->token_file,
                            "a file with the token, or - for stdin: others on this machine see "
                            "what a command line says"));
  model_name(
      sub->add_option("-m,--model", flags->model,
                      "this machine's copy of the model (default: as the cluster names it)"));
  not_empty(sub->add_option("--name", flags->name, "its name there (default: the host's)"));
  sub->add_option("--device", flags->device,
                  "what computes: auto (every card that can be used, and the CPU), or devices with "
                  "commas between: cuda:0,cpu")
      ->capture_default_str();
  sub->add_option("--memory", flags->memory,
                  "the most memory of each device to use, such as 6GiB (default: what is free)");
  whole_number(sub->add_option("-t,--threads", flags->threads, "CPU threads (default: all cores)"),
               "N", 1, kThreadsMax);
  whole_number(sub->add_option("--port", flags->port,
                               "where its workers listen, one port each from this one on, for "
                               "firewalls (default: any)"),
               "PORT", 1, kPortMax);
  sub->add_option("--yield", flags->yield, kYieldHelp);
  add_log_flags(sub, flags->log);
  sub->callback([&line, flags] {
    line.chosen = [&line, flags] {
      if (!flags->yield.empty()) parse_courtesy(flags->yield);
      set_up_log(flags->log);
      return JoinCommand(*flags, line).run();
    };
  });
}

void add_leave(CommandLine& line) {
  CLI::App* sub = line.app.add_subcommand(
      "leave", "end potluck join on this machine, once its cluster can do without it");
  sub->callback([&line] { line.chosen = [&line] { return leave(line); }; });
}

}  // namespace potluck
