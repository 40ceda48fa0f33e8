// Starts `potluck worker` for each device, and reads where it listens.
#include "cluster/launch/own_workers.h"

#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr double kListenSeconds = 30;
constexpr char kListening[] = "listening on ";  // worker_command.cc says it

std::vector<std::string> words_for(const OwnWorkersSetup& setup, size_t index,
                                   const std::string& address) {
  const DeviceSpec& device = setup.devices[index];
  const std::string port =
      setup.port == 0 ? "*" : std::to_string(setup.port + static_cast<int>(index));
  std::vector<std::string> words = {"potluck",
                                    "worker",
                                    "-m",
                                    setup.model,
                                    "--listen",
                                    "tcp://" + address + ":" + port,
                                    "--allow",
                                    setup.coordinator_key,
                                    "--name",
                                    device.name,
                                    "--device",
                                    device.device,
                                    "--end-with-stdin"};
  if (device.threads > 0) words.insert(words.end(), {"-t", std::to_string(device.threads)});
  if (device.memory_bytes > 0)
    words.insert(words.end(), {"--memory", std::to_string(device.memory_bytes)});
  if (!setup.fetch_from.endpoint.empty())
    words.insert(words.end(),
                 {"--fetch-from", setup.fetch_from.endpoint, "--fetch-key", setup.fetch_from.key});
  if (!setup.yield.empty()) words.insert(words.end(), {"--yield", setup.yield});
  return words;
}

std::string endpoint_of(ChildProcess& child, const std::string& name) {
  const auto line = child.line(now() + from_seconds(kListenSeconds));
  if (line && line->rfind(kListening, 0) == 0) return line->substr(sizeof(kListening) - 1);
  throw Fault(FaultKind::world,
              "the worker \"" + name + "\" does not start: " + child.last_words());
}

}  // namespace

OwnWorkers::OwnWorkers(const OwnWorkersSetup& setup, const std::string& address)
    : fetch_from_(setup.fetch_from) {
  for (size_t i = 0; i < setup.devices.size(); ++i)
    children_.push_back(
        std::make_unique<ChildProcess>(setup.program, words_for(setup, i, address)));
  for (size_t i = 0; i < setup.devices.size(); ++i)
    offers_.push_back({endpoint_of(*children_[i], setup.devices[i].name), setup.devices[i]});
}

void OwnWorkers::check_alive() {
  for (size_t i = 0; i < children_.size(); ++i) {
    children_[i]->trim_log();
    if (children_[i]->has_ended())
      throw Fault(FaultKind::world, "the worker \"" + offers_[i].device.name + "\" " +
                                        children_[i]->ending() + ": " + children_[i]->last_words());
  }
}

}  // namespace potluck
