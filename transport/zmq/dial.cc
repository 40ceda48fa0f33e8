// Dials address after address, and keeps the socket that connects first.
#include "transport/zmq/dial.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "topology/base/endpoint.h"

namespace potluck {
namespace {

// "10.0.0.4", "[fe80::4%eth0]"; empty for a socket file.
std::string host_of(const std::string& address) {
  const auto endpoint = parse_endpoint(address);
  return endpoint && endpoint->scheme == "tcp" ? endpoint->host : "";
}

}  // namespace

Dial::Dial(std::vector<std::string> addresses, NewSocket new_socket)
    : new_socket_(std::move(new_socket)) {
  for (std::string& address : addresses) tries_.push_back({.address = std::move(address)});
}

std::optional<Dial::Connected> Dial::advance(Time now) {
  for (Try& attempt : tries_)
    if (std::optional<Connected> connected = read(attempt)) return connected;
  start_due(now);
  return std::nullopt;
}

// At most one at a time begins, and none while another is younger than kNextAddressSeconds.
void Dial::start_due(Time now) {
  const Duration pause = from_seconds(kNextAddressSeconds);
  const bool all_over = failed();
  for (const Try& attempt : tries_)
    if (attempt.socket && now - *attempt.started_at < pause) return;
  for (Try& attempt : tries_) {
    const bool again = attempt.is_over() && !all_over && now - *attempt.started_at >= pause;
    if (!attempt.started_at || again) return start(attempt, now);
  }
}

void Dial::start(Try& attempt, Time now) {
  attempt.started_at = now;
  try {
    attempt.socket = new_socket_();
    attempt.socket->connect(attempt.address);
  } catch (const std::exception& error) {  // no descriptor is left
    attempt.socket.reset();
    attempt.failure = std::string("was not dialed: ") + error.what();
  }
}

std::optional<Dial::Connected> Dial::read(Try& attempt) {
  if (attempt.probe) ask_why(attempt);
  if (!attempt.socket) return std::nullopt;
  std::optional<Connected> connected;
  for (const ZmqHappening& happening : attempt.socket->happenings()) {
    if (happening.kind == ZmqHappening::Kind::connected)
      connected = Connected{nullptr, happening.fd, {}};
    else if (connected)
      connected->since.push_back(happening.kind);
    else if (happening.kind == ZmqHappening::Kind::disconnected)
      attempt.probe.emplace(attempt.address);
  }
  if (connected) connected->socket = std::move(attempt.socket);
  if (attempt.probe) attempt.socket.reset();
  return connected;
}

void Dial::ask_why(Try& attempt) {
  const std::optional<int> error = attempt.probe->error();
  if (!error) return;
  attempt.failure = failure_text(*error);
  attempt.is_unrouted = is_unrouted(*error);
  attempt.probe.reset();
}

bool Dial::failed() const {
  return std::all_of(tries_.begin(), tries_.end(), [](const Try& each) { return each.is_over(); });
}

std::string Dial::trouble() const {
  std::string text;
  for (const Try& attempt : tries_) {
    const std::string host = host_of(attempt.address);
    if (!attempt.started_at || host.empty()) continue;
    text += (text.empty() ? "" : ", ") + host + " " +
            (attempt.failure.empty() ? failure_text(ETIMEDOUT) : attempt.failure);
  }
  return text.empty() ? text : text + "; " + advice();
}

std::string Dial::advice() const {
  const bool unrouted =
      std::all_of(tries_.begin(), tries_.end(), [](const Try& each) { return each.is_unrouted; });
  const std::string& address = tries_[0].address;
  if (unrouted && is_loopback(*parse_endpoint(address)))
    return "see that this machine's loopback interface is up (ip link set lo up)";
  if (unrouted) return "see that this machine has an address in its network, or a route there";
  return "see that potluck runs and listens there, and that TCP port " +
         address.substr(address.rfind(':') + 1) + " of its machine is open to this one";
}

void Dial::append_poll_items(std::vector<zmq::pollitem_t>& items) {
  for (const Try& attempt : tries_)
    if (attempt.socket) attempt.socket->append_poll_items(items);
}

}  // namespace potluck
