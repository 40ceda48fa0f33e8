// Connections that we make: tried again, quietly, until somebody says hello or the time is up.
#include <cstdio>
#include <thread>
#include <utility>

#include "transport/zmq/zmq_endpoint.h"
#include "transport/zmq/zmq_io.h"

namespace potluck {
namespace {

constexpr double kRedialSeconds = 0.1;

// Names are looked up on a thread of their own, which nobody waits for: a name server can take its
// time, and heartbeats cannot.
std::future<std::string> start_resolving(const ZmqEndpoint& endpoint) {
  std::packaged_task<std::string()> task([endpoint] { return resolve(endpoint); });
  std::future<std::string> resolved = task.get_future();
  std::thread(std::move(task)).detach();
  return resolved;
}

std::string no_answer_text(const ZmqLink& link) {
  char waited[32];
  std::snprintf(waited, sizeof(waited), "%.0f s", kConnectSeconds);
  if (link.address.empty()) return "no name server knew " + link.endpoint + " within " + waited;
  if (link.connected)
    return link.endpoint + " takes connections but said no hello within " + waited +
           "; is it a potluck worker?";
  return "connection refused or no answer at " + link.endpoint + " in " +
         std::to_string(link.tries) + " tries within " + waited + "; is the worker started there?";
}

}  // namespace

void ZmqIo::start_dial(ZmqLink& link, const std::string& endpoint) {
  link.endpoint = endpoint;
  link.give_up_at = now() + from_seconds(kConnectSeconds);
  try {
    const ZmqEndpoint parsed = parse_zmq_endpoint(endpoint);
    if (needs_name_server(parsed))
      link.resolved = start_resolving(parsed);
    else
      link.address = resolve(parsed);
  } catch (const Fault& fault) {
    close(link, fault.text());
  }
}

// A link that we dropped a moment ago may still hold our place at the peer: it goes first.
void ZmqIo::tick_dial(ZmqLink& link, Time now) {
  if (now > link.give_up_at) return close(link, no_answer_text(link));
  if (link.gone_at) retry(link, now);
  if (link.socket || now < link.next_try_at || is_leaving(link.end->peer)) return;
  try {
    if (link.address.empty()) {
      if (link.resolved.wait_for(Duration{0}) != std::future_status::ready) return;
      link.address = link.resolved.get();
    }
    dial(link);
  } catch (const Fault& fault) {
    close(link, fault.text());
  } catch (const zmq::error_t& error) {
    close(link, "cannot dial " + link.endpoint + ": " + error.what());
  }
}

void ZmqIo::dial(ZmqLink& link) {
  ++link.tries;
  link.socket = std::make_unique<ZmqSocket>(context_, zmq::socket_type::dealer);
  link.socket->connect(link.address);
  say_hello(link);
}

void ZmqIo::retry(ZmqLink& link, Time now) {
  link.gone_at.reset();
  link.socket.reset();
  link.next_try_at = now + from_seconds(kRedialSeconds);
}

bool ZmqIo::is_leaving(PeerId peer) const {
  for (const auto& link : links_)
    if (link->end->peer == peer && link->state == ZmqLink::State::leaving) return true;
  return false;
}

}  // namespace potluck
