// Probes addresses by plain connections, all at once, and measures by the ring's own transport.
#include "cluster/planning/reach.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "cluster/cli/statistics.h"
#include "cluster/cli/interfaces.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/version.h"
#include "transport/make_transport.h"
#include "transport/zmq/endpoint.h"
#include "transport/zmq/probe.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

constexpr PeerId kOther = stage_peer(0);
constexpr double kProbeSeconds = 2.5;  // a lost first packet is sent again after one second
constexpr double kUpSeconds = 4;
constexpr double kAnswerSeconds = 15;
constexpr int kSmallMessages = 15, kLargeMessages = 5;
constexpr double kLargeSeconds = 4;  // after which no other one is sent
// In a ring a link rests between two canvases: senders begin anew with few packets on the way.
constexpr std::chrono::milliseconds kRest(250), kGlance(5);
constexpr Outcome kOutcomes[] = {Outcome::reached,  Outcome::refused, Outcome::silent,
                                 Outcome::unrouted, Outcome::own,     Outcome::stranger};

std::string endpoint_of(const std::string& address, int port) {
  return "tcp://" + address + ":" + std::to_string(port);
}

bool is_own(const std::string& address) {
  for (const NetworkInterface& each : find_interfaces())
    if (std::count(each.addresses.begin(), each.addresses.end(), address)) return true;
  return false;
}

// A host that turns a call away by a message of its own, as firewalls do, gives the error of one
// that is not there; but then this machine knows a way to it.
Outcome outcome_of(int error, bool has_way) {
  if (error == 0) return Outcome::reached;
  if (error == ECONNREFUSED || (error == EHOSTUNREACH && has_way)) return Outcome::refused;
  return is_unrouted(error) ? Outcome::unrouted : Outcome::silent;
}

// An address that is being tried; a name is tried at the first of its own.
struct Attempt {
  Tried tried;
  std::optional<Probe> probe;  // none: it has failed
};

Attempt begin(const std::string& address, int port) {
  Attempt attempt;
  attempt.tried.address = address;
  try {
    const std::string numeric = resolve(parse_zmq_endpoint(endpoint_of(address, port))).front();
    attempt.tried.from = local_address_towards(numeric);
    attempt.probe.emplace(numeric);
  } catch (const Fault& fault) {
    attempt.tried.outcome = Outcome::unrouted;
    attempt.tried.why = fault.text();
  }
  return attempt;
}

void settle(Attempt& attempt) {
  Tried& tried = attempt.tried;
  if (attempt.probe) {
    const int error = attempt.probe->error().value_or(ETIMEDOUT);
    tried.outcome = outcome_of(error, !tried.from.empty());
    if (error) tried.why = failure_text(error);
  }
  if (!is_own(tried.address)) return;
  tried.outcome = Outcome::own;
  tried.why = "is an address of the caller itself";
}

std::vector<Tried> try_all(const Reach& request) {
  std::vector<Attempt> attempts;
  for (const std::string& address : request.addresses)
    attempts.push_back(begin(address, request.port));
  const auto waiting = [&] {
    return std::any_of(attempts.begin(), attempts.end(),
                       [](Attempt& each) { return each.probe && !each.probe->error(); });
  };
  for (const Time end = now() + from_seconds(kProbeSeconds); waiting() && now() < end;)
    std::this_thread::sleep_for(kGlance);
  std::vector<Tried> tried;
  for (Attempt& each : attempts) {
    settle(each);
    tried.push_back(each.tried);
  }
  return tried;
}

// A link to the other host's answerer. It is down for good when gone() says why.
class Link final {
 public:
  Link(const Reach& request, const std::string& address, const KeyFile& keys)
      : transport_(make_transport("zmq", {nullptr, [keys] { return keys.read_or_make(); },
                                          request.key.empty(), nullptr})) {
    identity_.hello = {kSoftware, "doctor", ""};
    transport_->set_identity(identity_);
    transport_->connect(kOther, {endpoint_of(address, request.port), request.key});
    await(Event::Kind::up, kUpSeconds);
  }

  const std::string& gone() const { return gone_; }

  // Until the answer is there; 0 if the link went down instead.
  double round_trip_ms(const Payload& payload) {
    Message message = message_from(identity_, MessageKind::encode, kOther);
    message.payload = payload;
    const Time begin = now();
    transport_->send(std::move(message));
    return await(Event::Kind::message, kAnswerSeconds) ? milliseconds(now() - begin) : 0;
  }

 private:
  bool await(Event::Kind kind, double seconds) {
    for (const Time end = now() + from_seconds(seconds); gone_.empty();) {
      const std::optional<Event> event = transport_->wait(end);
      if (event && event->kind == kind) return true;
      if (event && event->kind == Event::Kind::down) gone_ = event->reason;
      if (!event) gone_ = "no answer came in time";
    }
    return false;
  }

  const std::unique_ptr<Transport> transport_;
  Identity identity_;
  std::string gone_;
};

void measure(Link& link, const Reach& request, Reached& into) {
  std::vector<double> small, large;
  for (int i = 0; i < kSmallMessages; ++i) small.push_back(link.round_trip_ms({}));
  const Payload canvas = own_payload(std::vector<std::byte>(request.message_bytes));
  const Time end = now() + from_seconds(kLargeSeconds);
  for (int i = 0; i < kLargeMessages && (i < 2 || now() < end) && link.gone().empty(); ++i) {
    std::this_thread::sleep_for(kRest);
    large.push_back(link.round_trip_ms(canvas));
  }
  into.gave_way = link.gone();
  if (!into.gave_way.empty()) return;
  into.latency_ms = median(small) / 2;
  into.message_ms = median(large) - into.latency_ms;
  const double beyond_ms = std::max(median(large) - median(small), 1e-3);
  into.mbit_per_s = static_cast<double>(request.message_bytes) * 8e-3 / beyond_ms;
}

}  // namespace

const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::reached:
      return "reached";
    case Outcome::refused:
      return "refused";
    case Outcome::silent:
      return "silent";
    case Outcome::unrouted:
      return "unrouted";
    case Outcome::own:
      return "own";
    case Outcome::stranger:
      return "stranger";
  }
  return "";
}

Reached reach(const Reach& request, const KeyFile& keys) {
  Reached reached;
  reached.tried = try_all(request);
  for (Tried& each : reached.tried) {
    if (each.outcome != Outcome::reached || !reached.address.empty()) continue;
    Link link(request, each.address, keys);
    if (!link.gone().empty()) {
      each.outcome = Outcome::stranger;
      each.why = link.gone();
      continue;
    }
    reached.address = each.address;
    measure(link, request, reached);
  }
  return reached;
}

ordered_json reach_json(const Reach& request) {
  return {{"addresses", request.addresses},
          {"port", request.port},
          {"key", request.key},
          {"bytes", request.message_bytes}};
}

Reach reach_of(const ordered_json& json) {
  return {json.at("addresses"), json.at("port"), json.at("key"), json.at("bytes")};
}

ordered_json reached_json(const Reached& reached) {
  ordered_json tried = ordered_json::array();
  for (const Tried& each : reached.tried)
    tried.push_back({{"address", each.address},
                     {"outcome", outcome_name(each.outcome)},
                     {"why", each.why},
                     {"from", each.from}});
  return {{"tried", tried},
          {"address", reached.address},
          {"latency_ms", reached.latency_ms},
          {"mbit_per_s", reached.mbit_per_s},
          {"message_ms", reached.message_ms},
          {"gave_way", reached.gave_way}};
}

Reached reached_of(const ordered_json& json) {
  Reached reached;
  for (const ordered_json& each : json.at("tried")) {
    Tried tried{each.at("address"), Outcome::silent, each.at("why"), each.at("from")};
    for (const Outcome outcome : kOutcomes)
      if (each.at("outcome") == outcome_name(outcome)) tried.outcome = outcome;
    reached.tried.push_back(tried);
  }
  reached.address = json.at("address");
  reached.latency_ms = json.at("latency_ms");
  reached.mbit_per_s = json.at("mbit_per_s");
  reached.message_ms = json.at("message_ms");
  reached.gave_way = json.at("gave_way");
  return reached;
}

}  // namespace potluck
