// Holds a cluster to what its parts say of each other.
#include "topology/cluster/cluster_check.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/suggest.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

constexpr char kPortOfExample[] = ":7000";

[[noreturn]] void refuse_line(const ClusterSpec& cluster, int line, const std::string& why,
                              const std::string& fix) {
  throw Fault(FaultKind::input, why, Fix{fix}, cluster.file + ":" + std::to_string(line));
}

std::string in_line(int line) {
  return " (line " + std::to_string(line) + ")";
}

void check_names(const ClusterSpec& cluster) {
  std::map<std::string, int> hosts, devices;
  for (const HostSpec& host : cluster.hosts) {
    const auto [first, is_new] = hosts.insert({host.name, host.line});
    if (!is_new)
      refuse_line(cluster, host.line,
                  "host " + in_quotes(host.name) + " appears twice, first in line " +
                      std::to_string(first->second),
                  "give each host a name of its own");
    for (const DeviceSpec& device : host.devices) {
      const auto [other, fresh] = devices.insert({device.name, device.line});
      if (!fresh)
        refuse_line(cluster, device.line,
                    "device " + in_quotes(device.name) + " appears twice, first in line " +
                        std::to_string(other->second),
                    "give each device a name of its own");
    }
  }
}

void check_devices(const ClusterSpec& cluster) {
  for (const HostSpec& host : cluster.hosts) {
    std::map<std::string, int> seen;
    for (const DeviceSpec& device : host.devices) {
      const auto [first, is_new] = seen.insert({device.device, device.line});
      if (!is_new)
        refuse_line(cluster, device.line,
                    in_quotes(host.name) + " has " + device.device + " twice, first in line " +
                        std::to_string(first->second),
                    "delete one, or give it its own number");
    }
  }
}

// The host that is this machine; nullptr: none is.
const HostSpec* find_here(const ClusterSpec& cluster) {
  const HostSpec* here = nullptr;
  for (const HostSpec& host : cluster.hosts) {
    if (!host.ssh.empty()) continue;
    if (here)
      refuse_line(cluster, host.line,
                  in_quotes(here->name) + in_line(here->line) + " and " + in_quotes(host.name) +
                      " are both \"here: true\"",
                  "one host is this machine; give the other \"ssh: USER@HOST\"");
    here = &host;
  }
  return here;
}

void check_coordinator(const ClusterSpec& cluster) {
  const HostSpec* here = find_here(cluster);
  const std::string& name = cluster.coordinator;
  if (!name.empty() && !find_host(cluster, name))
    refuse_line(cluster, cluster.coordinator_line,
                "\"coordinator\" is " + in_quotes(name) + ", which is no host",
                host_suggestion(cluster, name));
  if (name.empty() && !here)
    refuse_line(cluster, cluster.hosts.front().line, "no host is this machine",
                "give one \"here: true\", or name the host that coordinates: \"coordinator: " +
                    cluster.hosts.front().name + "\"");
  const HostSpec& coordinator = name.empty() ? *here : *find_host(cluster, name);
  if (!coordinator.trusted)
    refuse_line(cluster, coordinator.trusted_line,
                in_quotes(coordinator.name) + " is \"trusted: false\", and it is the coordinator",
                "the coordinator reads every prompt and answer: trust it, or name another host: "
                "\"coordinator: HOST\"");
}

const HostSpec& host_with(const ClusterSpec& cluster, const DeviceSpec* device) {
  return *std::find_if(cluster.hosts.begin(), cluster.hosts.end(), [device](const HostSpec& host) {
    return std::any_of(host.devices.begin(), host.devices.end(),
                       [device](const DeviceSpec& one) { return &one == device; });
  });
}

void check_head(const ClusterSpec& cluster) {
  bool some_head = false, some_layers = false;
  for (const HostSpec& host : cluster.hosts)
    for (const DeviceSpec& device : host.devices) {
      some_head = some_head || device.may_be_head;
      some_layers = some_layers || (device.may_hold_layers && !device.spare);
    }
  const int first_line = cluster.hosts.front().line;
  if (!some_head)
    refuse_line(cluster, first_line, "no device may be the head",
                "give a device of a trusted host \"role: head\"");
  if (!some_layers)
    refuse_line(cluster, first_line, "no device may hold layers",
                "give one \"role: layers\", without \"spare\"");
  if (cluster.head.empty()) return;
  const DeviceSpec* head = find_device(cluster, cluster.head);
  if (!head)
    refuse_line(cluster, cluster.head_line,
                "\"head\" is " + in_quotes(cluster.head) + ", which is no device",
                device_suggestion(cluster, cluster.head));
  if (!host_with(cluster, head).trusted)
    refuse_line(cluster, cluster.head_line,
                "\"head\" is " + in_quotes(head->name) + ", whose host is \"trusted: false\"",
                "a head sees the text: name another device, or trust its host");
  if (!head->may_be_head || head->spare)
    refuse_line(cluster, cluster.head_line,
                "\"head\" is " + in_quotes(head->name) + ", whose role does not allow it",
                "give it \"role: head\", or name another device");
}

void check_address(const ClusterSpec& cluster, const HostSpec& host, const std::string& address) {
  const std::string what =
      "\"addresses\" of " + in_quotes(host.name) + " has " + in_quotes(address);
  const auto endpoint = parse_endpoint("tcp://" + address + kPortOfExample);
  if (!endpoint)
    refuse_line(cluster, host.addresses_line, what,
                "it must be a name or an address without a port: nas.lan, 10.0.0.3, [fd00::3]");
  if (is_any_address(*endpoint))
    refuse_line(cluster, host.addresses_line, what + ", where nobody can be called",
                "give the address at which the others reach it");
  if (!is_machine(endpoint->host))
    refuse_line(cluster, host.addresses_line,
                what + ", which is no name and no address of a machine",
                "write it like nas.lan, 10.0.0.3 or [fd00::3]");
  if (cluster.hosts.size() > 1 && is_loopback(*endpoint))
    refuse_line(cluster, host.addresses_line, what + ", which other machines cannot reach",
                "give its address on the network that they share");
}

bool ports_overlap(const HostSpec& a, const HostSpec& b) {
  if (a.port_first == 0 || b.port_first == 0) return true;
  return a.port_first <= b.port_last && b.port_first <= a.port_last;
}

void check_addresses(const ClusterSpec& cluster) {
  std::map<std::string, const HostSpec*> owners;
  for (const HostSpec& host : cluster.hosts)
    for (const std::string& address : host.addresses) {
      check_address(cluster, host, address);
      const auto [first, is_new] = owners.insert({address, &host});
      if (is_new || !ports_overlap(*first->second, host)) continue;
      refuse_line(cluster, host.addresses_line,
                  in_quotes(host.name) + " has address " + address +
                      (first->second == &host ? " twice"
                                              : ", which " + in_quotes(first->second->name) +
                                                    in_line(first->second->line) + " has too"),
                  "give each host its own");
    }
}

void check_hosts(const ClusterSpec& cluster) {
  std::map<std::string, const HostSpec*> keys;
  for (const HostSpec& host : cluster.hosts) {
    const auto [first, is_new] = keys.insert({host.key, &host});
    if (!is_new && !host.key.empty())
      refuse_line(cluster, host.key_line,
                  in_quotes(host.name) + " has the key of " + in_quotes(first->second->name) +
                      in_line(first->second->line),
                  "see what \"potluck key\" shows on each of them");
    // A device may have two workers, a stage and the head.
    const int ports = host.port_last - host.port_first + 1;
    const int workers = host.devices.size() + (host.trusted ? 1 : 0);
    if (host.port_first && ports < workers)
      refuse_line(cluster, host.ports_line,
                  in_quotes(host.name) + " has " + std::to_string(ports) + " port" +
                      (ports == 1 ? "" : "s") + " for " + std::to_string(workers) + " workers",
                  "give it more: ports: " + std::to_string(host.port_first) + "-" +
                      std::to_string(host.port_first + workers - 1));
  }
  if (cluster.options.transport == "inproc" && cluster.hosts.size() > 1)
    refuse_line(
        cluster, cluster.hosts[1].line,
        "\"transport\" is inproc, and " + in_quotes(cluster.hosts[1].name) + " is another machine",
        "only one process has inproc; write transport: zmq");
}

void check_links(const ClusterSpec& cluster) {
  std::map<std::pair<std::string, std::string>, int> pairs;
  for (const LinkSpec& link : cluster.links) {
    for (const std::string& end : {link.from, link.to})
      if (!find_host(cluster, end))
        refuse_line(cluster, link.line, "a link names " + in_quotes(end) + ", which is no host",
                    host_suggestion(cluster, end));
    if (link.from == link.to)
      refuse_line(cluster, link.line, "a link goes from " + in_quotes(link.from) + " to itself",
                  "links are between hosts; delete it");
    const auto [first, is_new] = pairs.insert({{link.from, link.to}, link.line});
    if (!is_new)
      refuse_line(cluster, link.line,
                  "the link from " + in_quotes(link.from) + " to " + in_quotes(link.to) +
                      " appears twice, first in line " + std::to_string(first->second),
                  "delete one, or write \"both: false\"");
  }
}

std::string suggestion_of(const std::string& name, const std::set<std::string>& names) {
  return suggestion(name, std::vector<std::string_view>(names.begin(), names.end()));
}

}  // namespace

void validate(const ClusterSpec& cluster) {
  check_names(cluster);
  check_devices(cluster);
  check_coordinator(cluster);
  check_head(cluster);
  check_addresses(cluster);
  check_hosts(cluster);
  check_links(cluster);
}

const HostSpec* find_host(const ClusterSpec& cluster, const std::string& name) {
  for (const HostSpec& host : cluster.hosts)
    if (host.name == name) return &host;
  return nullptr;
}

const DeviceSpec* find_device(const ClusterSpec& cluster, const std::string& name) {
  for (const HostSpec& host : cluster.hosts)
    for (const DeviceSpec& device : host.devices)
      if (device.name == name) return &device;
  return nullptr;
}

const LinkSpec* find_link(const ClusterSpec& cluster, const std::string& from,
                          const std::string& to) {
  for (const LinkSpec& link : cluster.links)
    if (link.from == from && link.to == to) return &link;
  return nullptr;
}

std::string host_suggestion(const ClusterSpec& cluster, const std::string& name) {
  std::set<std::string> names;
  for (const HostSpec& host : cluster.hosts) names.insert(host.name);
  return suggestion_of(name, names);
}

std::string device_suggestion(const ClusterSpec& cluster, const std::string& name) {
  std::set<std::string> names;
  for (const HostSpec& host : cluster.hosts)
    for (const DeviceSpec& device : host.devices) names.insert(device.name);
  return suggestion_of(name, names);
}

}  // namespace potluck
