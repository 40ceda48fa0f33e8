// Goes in once with what the person gave, and again and again with the machine's key alone.
#include "cluster/launch/joiner.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "cluster/cli/interrupt.h"
#include "cluster/ring/address.h"
#include "coordinator/membership/guest_verbs.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr double kAskSeconds = 10;
constexpr double kLeavePause = 0.3, kLeavePauseMax = 5, kLeavePauseGrows = 1.5;
constexpr std::chrono::milliseconds kTurn(20);

}  // namespace

// A coordinator that ends leaves a call without an answer, which says no more than that it is away.
Json Joiner::ask(const std::string& verb, const Json& body) {
  try {
    return client_->ask(verb, body, kAskSeconds).body;
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::world) throw;
    throw Fault(FaultKind::lost, fault.text(), fault.fix(), fault.where());
  }
}

void Joiner::wait(double seconds) {
  const Time deadline = now() + from_seconds(seconds);
  while (now() < deadline && !interrupt_signal()) std::this_thread::sleep_for(kTurn);
}

// An address of this machine that changed takes its workers with it: they listen at the new one.
// So does one of the coordinator's, if they fetch from there.
void Joiner::enter(Door door) {
  client_ = std::move(door.client);
  be_let_in(
      setup_.entry, [this](const std::string& verb, const Json& body) { return ask(verb, body); },
      [this] {
        wait(1);
        if (interrupt_signal()) throw Fault(FaultKind::canceled, "interrupted");
      });
  setup_.cluster = seen_at(setup_.cluster, door.address);
  setup_.remember(setup_.cluster);
  setup_.entry.knows_cluster = true;
  setup_.entry.secret.reset();
  const Json about = ask(kClusterVerb, Json::object());
  const std::string address = address_towards("tcp://" + door.address);
  const std::string door_endpoint = "tcp://" + door.address;
  if (workers_ && address == address_ &&
      (workers_->fetch_from().endpoint.empty() || workers_->fetch_from().endpoint == door_endpoint))
    return;
  address_ = address;
  workers_.reset();
  workers_ = setup_.start_workers(JsonFields(about, kCoordinatorAnswer).text("model"), address,
                                  door_endpoint);
}

void Joiner::find_again() {
  setup_.say("the coordinator is away; looking for it");
  while (!interrupt_signal()) {
    std::string why_not;
    try {
      if (auto door = way_.knock(setup_.cluster, why_not)) {
        const std::string where = door->address;
        enter(std::move(*door));
        setup_.say("found the coordinator at " + where);
        return;
      }
    } catch (const Fault& fault) {
      if (fault.kind() != FaultKind::lost) throw;
    }
    workers_->check_alive();
    wait(kOfferSeconds);
  }
}

void Joiner::report(const Json& reply) {
  std::string parts;
  for (const auto& [worker, part] : reply.at("parts").items()) {
    const std::string said = part.is_string() ? part.get<std::string>() : "";
    const std::string why = why_in(reply, worker);
    const std::string waits = why.empty() ? "waits" : "waits (" + why + ")";
    parts += one_line(worker) + ": " + (said.empty() ? waits : one_line(said)) + "; ";
  }
  if (parts != parts_) setup_.say(parts.substr(0, parts.size() - 2));
  parts_ = parts;
}

void Joiner::offer() {
  workers_->check_alive();
  report(ask(kOfferVerb, json_of({setup_.entry.name, setup_.entry.own_key, workers_->offers()})));
}

// The ring does without this machine from the next commit on; until then its workers go on.
void Joiner::leave() {
  clear_interrupt();
  setup_.say(
      fmt::format("leaving, as soon as the ring can do without this machine, in {:.0f} s at most; "
                  "Ctrl-C leaves at once",
                  kLeaveSecondsMax));
  const Time deadline = now() + from_seconds(kLeaveSecondsMax);
  double pause = kLeavePause;
  std::string told;
  for (bool gone = false; !gone && !interrupt_signal() && now() < deadline;) {
    const Json reply = ask(kLeaveVerb, Json::object());
    gone = true;
    for (const auto& [worker, part] : reply.at("parts").items()) gone = gone && part == "";
    const std::string why = why_kept(reply);
    if (!why.empty() && why != std::exchange(told, why)) setup_.say(why);
    if (!gone) wait(std::exchange(pause, std::min(kLeavePauseGrows * pause, kLeavePauseMax)));
  }
}

void Joiner::stay() {
  std::string why_not;
  auto door = way_.knock(setup_.cluster, why_not);
  if (!door)
    throw Fault(
        FaultKind::lost, "the cluster's coordinator does not answer: " + why_not,
        Fix{"see that potluck up runs there, and that its firewall lets TCP in at that port"});
  setup_.say("found the coordinator at " + door->address);
  enter(std::move(*door));
  while (!interrupt_signal()) try {
      offer();
      wait(kOfferSeconds);
    } catch (const Fault& fault) {
      if (fault.kind() != FaultKind::lost) throw;
      find_again();
    }
  try {
    leave();
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::lost) throw;
  }
}

}  // namespace potluck
