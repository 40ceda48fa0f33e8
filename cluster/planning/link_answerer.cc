// Listens by the ring's own transport, and answers on a thread of its own.
#include "cluster/planning/link_answerer.h"

#include <algorithm>
#include <optional>

#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/version.h"
#include "transport/make_transport.h"
#include "transport/quiet_thread.h"

namespace potluck {
namespace {

constexpr double kTurnSeconds = 1;

// As a worker has it before its first Load.
Identity answerer_identity(const AnswererOptions& options) {
  Identity identity;
  identity.self = kUnassignedPeer;
  identity.hello = {kSoftware, "doctor", ""};
  identity.callers = {kCoordinatorPeer};
  identity.keys[kCoordinatorPeer] = options.keys;
  return identity;
}

// Both families by one socket where this machine has IPv6, or else IPv4 alone.
std::vector<std::string> hosts_to_listen_at(const AnswererOptions& options) {
  if (!options.plain_host.empty()) return {options.plain_host};
  return {"[::]", "*"};
}

// The first endpoint that can be listened at.
std::string listen_at_first(Transport& transport, const AnswererOptions& options) {
  std::optional<Fault> last;
  for (int port = options.port_first; port <= std::max(options.port_first, options.port_last);
       ++port)
    for (const std::string& host : hosts_to_listen_at(options)) try {
        return transport.listen("tcp://" + host + ":" + (port ? std::to_string(port) : "*"));
      } catch (const Fault& fault) {
        last = fault;
      }
  throw Fault(FaultKind::world,
              "no worker could listen at ports " + std::to_string(options.port_first) + "-" +
                  std::to_string(options.port_last) + " here: " + last->text(),
              Fix{"see who does (ss -ltnp), or name other ports in the cluster file"});
}

}  // namespace

LinkAnswerer::LinkAnswerer(const KeyFile& keys, const AnswererOptions& options)
    : transport_(make_transport("zmq", {nullptr, [keys] { return keys.read_or_make(); },
                                        !options.plain_host.empty(), nullptr})),
      identity_(answerer_identity(options)) {
  transport_->set_identity(identity_);
  port_ = parse_endpoint(listen_at_first(*transport_, options))->port;
  thread_ = start_without_signals([this] { answer(); });
}

LinkAnswerer::~LinkAnswerer() {
  stopping_ = true;
  transport_->wake();
  thread_.join();
}

void LinkAnswerer::answer() {
  while (!stopping_) {
    const std::optional<Event> event = transport_->wait(now() + from_seconds(kTurnSeconds));
    if (!event || event->kind != Event::Kind::message) continue;
    try {
      transport_->send(message_from(identity_, MessageKind::encode_done, event->peer));
    } catch (const Fault&) {
      // The caller is gone.
    }
  }
}

}  // namespace potluck
