// Plays the coordinator's side of joining for tests, without a ring: lets machines in, says what
// they offer, and takes orders on stdin.
//   guest_host STATE_FOLDER CONFIG_FOLDER PORT NAME
//     part WORKER WORDS…   WORKER is that part of the ring from now on; without words: none
//     why WORKER WORDS…    that is why it has none, or is kept
#include <atomic>
#include <cstdio>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "cluster/ring/key_file.h"
#include "coordinator/control/running_cluster.h"
#include "coordinator/membership/guests.h"
#include "topology/base/fault.h"
#include "topology/base/version.h"
#include "transport/mdns/mdns.h"

namespace potluck {
namespace {

constexpr std::chrono::milliseconds kTurn(20);

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Orders come on a thread of their own, which never ends before the process.
struct Orders {
  std::mutex mutex;
  std::map<std::string, std::string> parts, whys;
  std::atomic<bool> over = false;

  void read() {
    for (std::string line; std::getline(std::cin, line);) {
      std::istringstream words(line);
      std::string verb, worker, part;
      words >> verb >> worker;
      std::getline(words >> std::ws, part);
      const std::lock_guard lock(mutex);
      (verb == "why" ? whys : parts)[worker] = part;
    }
    over = true;
  }
  std::string part_of(const std::string& worker) {
    const std::lock_guard lock(mutex);
    return parts[worker];
  }
  std::string why_not(const std::string& worker) {
    const std::lock_guard lock(mutex);
    return whys[worker];
  }
};

int host(const std::string& state, const std::string& config, const std::string& port,
         const std::string& name) {
  static Orders orders;
  const LockKeys keys = KeyFile(config).read_or_make();
  ControlServer server({[keys] { return keys; }, {}});
  Guests guests(server, Admission(keys.public_key, guest_book_file(state), say),
                {"synthetic:nano?layers=6&seed=3",
                 [](const GuestOffer& offer) {
                   for (const GuestWorker& worker : offer.workers)
                     say("came " + worker.device.name + " " + worker.endpoint + " " + offer.key);
                 },
                 [](const std::string& worker) { say("forget " + worker); },
                 [](const std::string& worker) { return orders.part_of(worker); },
                 [](const std::string& worker) { return orders.why_not(worker); }});
  RunningCluster running(state, kClusterName);
  running.claim();
  server.listen("ipc://" + running.socket());
  server.listen("tcp://*:" + port);
  const auto advertiser =
      advertise({name, keys.public_key, kSoftware}, std::stoi(port), [](const std::string&) {});
  std::thread([] { orders.read(); }).detach();
  say("ready " + keys.public_key);
  while (!orders.over) {
    server.serve(now() + kTurn);
    guests.tick(now());
  }
  return 0;
}

}  // namespace
}  // namespace potluck

int main(int count, char** words) {
  if (count != 5) return 2;
  try {
    return potluck::host(words[1], words[2], words[3], words[4]);
  } catch (const potluck::Fault& fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    return 3;
  }
}
