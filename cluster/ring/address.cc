// Asks the kernel which local address leads to an endpoint.
#include "cluster/ring/address.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <thread>
#include <vector>

#include "topology/base/clock.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "transport/zmq/endpoint.h"
#include "transport/zmq/probe.h"

namespace potluck {
namespace {

constexpr double kPatienceSeconds = 2;  // for one of several addresses to answer
constexpr std::chrono::milliseconds kPause(5);

// Which of them takes a connection first; the first if none does in time.
std::string first_to_answer(const std::vector<std::string>& addresses) {
  std::vector<Probe> calls(addresses.begin(), addresses.end());
  for (const Time deadline = now() + from_seconds(kPatienceSeconds); now() < deadline;) {
    for (size_t i = 0; i < calls.size(); ++i)
      if (calls[i].error() == 0) return addresses[i];
    std::this_thread::sleep_for(kPause);
  }
  return addresses.front();
}

}  // namespace

std::string address_towards(const std::string& endpoint) {
  const auto to = parse_endpoint(endpoint);
  if (!to || to->scheme != "tcp")
    throw Fault(FaultKind::input, "endpoint " + endpoint + " is not tcp://HOST:PORT");
  const std::vector<std::string> addresses = resolve(parse_zmq_endpoint(endpoint));
  std::vector<std::string> hosts, routed;
  std::set<std::string> local;
  for (const std::string& address : addresses) {
    hosts.push_back(parse_endpoint(address)->host);
    const std::string mine = local_address_towards(address);
    if (mine.empty()) continue;
    routed.push_back(address);
    local.insert(mine);
  }
  if (routed.empty())
    throw Fault(
        FaultKind::world,
        fmt::format("this machine has no route to {} ({})", endpoint, fmt::join(hosts, ", ")),
        Fix{"see that it has an address in that network, or a route there"});
  return local.size() == 1 ? *local.begin() : local_address_towards(first_to_answer(routed));
}

}  // namespace potluck
