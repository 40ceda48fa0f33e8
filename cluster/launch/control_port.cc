// Lists addresses of this machine's interfaces, those of cables before those of wireless and
// tunnels.
#include "cluster/launch/control_port.h"

#include <algorithm>

#include "cluster/cli/interfaces.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "transport/proof/join_token.h"

namespace potluck {

std::vector<std::string> control_addresses(int port) {
  std::vector<NetworkInterface> interfaces = find_interfaces();
  std::erase_if(interfaces, [](const NetworkInterface& each) { return each.kind == "container"; });
  std::stable_partition(interfaces.begin(), interfaces.end(),
                        [](const NetworkInterface& each) { return each.kind == "ethernet"; });
  std::vector<std::string> addresses;
  for (const NetworkInterface& interface : interfaces)
    for (const std::string& address : interface.addresses)
      if (addresses.size() < kTokenAddressesMax)
        addresses.push_back(address + ":" + std::to_string(port));
  return addresses;
}

Endpoint parse_listen(const std::string& text) {
  const bool any_port = text.ends_with(":*");
  auto endpoint =
      parse_endpoint("tcp://" + (any_port ? text.substr(0, text.size() - 1) + "1" : text));
  if (!endpoint)
    throw Fault(FaultKind::input, "--listen \"" + text + "\" is no HOST:PORT",
                Fix{"write *:7117, 10.0.0.3:7117, [fd00::3]:7117 or, for any free port, *:*"});
  if (any_port) endpoint->port = 0;
  return *endpoint;
}

std::string address_for_guests(const std::string& listen) {
  if (const Endpoint endpoint = parse_listen(listen); !is_any_address(endpoint))
    return endpoint.host;
  const std::vector<std::string> addresses = control_addresses();
  return addresses.empty() ? "" : addresses.front().substr(0, addresses.front().rfind(':'));
}

std::vector<std::string> control_addresses_of(const std::vector<std::string>& written) {
  if (written.size() > kTokenAddressesMax)
    throw Fault(FaultKind::input, "a token holds at most " + std::to_string(kTokenAddressesMax) +
                                      " addresses; leave some out");
  std::vector<std::string> addresses;
  for (const std::string& address : written) {
    const std::string with_port = address + ":" + std::to_string(kControlPort);
    auto endpoint = parse_endpoint("tcp://" + address);
    if (endpoint)
      addresses.push_back(address);
    else if ((endpoint = parse_endpoint("tcp://" + with_port)))
      addresses.push_back(with_port);
    if (!endpoint || is_any_address(*endpoint))
      throw Fault(FaultKind::input, "--address " + address + " is no address",
                  Fix{"write 10.0.0.3, desk.home:7117 or [fd00::3]:7117"});
  }
  return addresses;
}

}  // namespace potluck
