// Takes what-ifs apart and changes the cluster.
#include "topology/cluster/what_if.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "topology/base/fault.h"
#include "topology/base/quantity.h"
#include "topology/base/suggest.h"
#include "topology/cluster/cluster_check.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/cluster/known_cards.h"
#include "topology/cluster/plan_endpoints.h"

namespace potluck {
namespace {

constexpr int kCopiesMax = 16;

[[noreturn]] void refuse_words(const std::string& words, const std::string& why,
                               const std::string& fix) {
  throw Fault(FaultKind::input, "what if \"" + words + "\": " + why, Fix{fix});
}

HostSpec* host_named(ClusterSpec& cluster, const std::string& name) {
  for (HostSpec& host : cluster.hosts)
    if (host.name == name) return &host;
  return nullptr;
}

HostSpec& need_host(ClusterSpec& cluster, const std::string& name, const std::string& words) {
  HostSpec* host = host_named(cluster, name);
  if (!host)
    refuse_words(words, "there is no host \"" + name + "\"", host_suggestion(cluster, name));
  return *host;
}

// The first of the vendor's devices that the host does not have: "cuda:1".
std::string free_device(const HostSpec& host, const std::string& vendor) {
  for (int i = 0;; ++i) {
    const std::string device = vendor == "cpu" ? "cpu" : vendor + ":" + std::to_string(i);
    const bool taken = std::any_of(host.devices.begin(), host.devices.end(),
                                   [&](const DeviceSpec& one) { return one.device == device; });
    if (!taken) return device;
  }
}

std::string free_name(const ClusterSpec& cluster, const std::string& base) {
  if (!find_device(cluster, base)) return base;
  for (int i = 2;; ++i) {
    const std::string name = base + "-" + std::to_string(i);
    if (!find_device(cluster, name)) return name;
  }
}

// "2x3090" is two of them.
int take_copies(std::string& card) {
  const size_t x = card.find('x');
  const bool counted =
      x != std::string::npos && x > 0 && x < 3 &&
      std::all_of(card.begin(), card.begin() + x, [](unsigned char c) { return std::isdigit(c); });
  if (!counted) return 1;
  const int copies = std::stoi(card.substr(0, x));
  card.erase(0, card.find_first_not_of(' ', x + 1));
  return copies;
}

// Refuses the words behind the first `count`.
void check_end(const std::vector<std::string>& parts, size_t count, const std::string& example,
               const std::string& words) {
  std::string rest;
  for (size_t i = count; i < parts.size(); ++i) rest += (rest.empty() ? "" : " ") + parts[i];
  if (!rest.empty()) refuse_words(words, "\"" + rest + "\" is left over", example);
}

// The words of "RTX 3090@desk" with one blank between them; a host's name ends them.
std::string card_and_host(const std::vector<std::string>& parts, const std::string& words) {
  std::string what;
  for (size_t i = 1; i < parts.size(); ++i) {
    const bool glued = what.empty() || parts[i].front() == '@';
    what += (glued ? "" : " ") + parts[i];
    if (parts[i].find('@') == std::string::npos) continue;
    check_end(parts, i + 1, "write CARD@HOST: add 3090@desk", words);
  }
  return what;
}

void add(ClusterSpec& cluster, const std::string& what, const std::string& words) {
  const size_t at = what.rfind('@');
  if (at == std::string::npos)
    refuse_words(words, "it names no host", "write CARD@HOST: add 3090@desk");
  std::string name = what.substr(0, at);
  const int copies = take_copies(name);
  const KnownCard* card = find_card(name);
  if (!card) refuse_words(words, "\"" + name + "\" is no known card", card_suggestion(name));
  if (copies < 1 || copies > kCopiesMax)
    refuse_words(words, "it adds " + std::to_string(copies) + " cards",
                 "write 1 to " + std::to_string(kCopiesMax));
  HostSpec& host = need_host(cluster, what.substr(at + 1), words);
  if (card->memory_gb == 0)
    refuse_words(words, "every host has a CPU",
                 "add a card, or write the CPU into the cluster file");
  for (int i = 0; i < copies; ++i) {
    DeviceSpec device;
    device.card = card->name;
    device.device = free_device(host, std::string(card->vendor));
    device.may_be_head = host.trusted;
    std::string model(card->name);
    std::replace(model.begin(), model.end(), ' ', '-');
    device.name = free_name(cluster, host.name + "-" + model);
    host.devices.push_back(device);
  }
}

// Where "a-b" is cut, since names may have dashes too; 0: nowhere. A host and itself are taken only
// where the words can mean nothing else.
size_t cut_of(ClusterSpec& cluster, const std::string& pair) {
  size_t same = 0;
  for (size_t dash = pair.find('-'); dash != std::string::npos; dash = pair.find('-', dash + 1)) {
    const std::string a = pair.substr(0, dash), b = pair.substr(dash + 1);
    if (!host_named(cluster, a) || !host_named(cluster, b)) continue;
    if (a != b) return dash;
    same = dash;
  }
  return same;
}

LinkSpec& link_between(ClusterSpec& cluster, const std::string& from, const std::string& to) {
  for (LinkSpec& link : cluster.links)
    if (link.from == from && link.to == to) return link;
  LinkSpec link = cluster.network.value_or(LinkSpec{});
  if (link.latency_ms == 0) link.latency_ms = kLatencyAssumedMs;
  link.from = from;
  link.to = to;
  cluster.links.push_back(link);
  return cluster.links.back();
}

void change_link(ClusterSpec& cluster, const std::vector<std::string>& parts,
                 const std::string& words) {
  if (parts.size() < 3)
    refuse_words(words, "a link needs two hosts and a rate", "write: link desk-nas 2.5gbit");
  check_end(parts, 4, "write: link desk-nas 2.5gbit 0.3ms", words);
  const size_t dash = cut_of(cluster, parts[1]);
  if (dash == 0)
    refuse_words(words, "\"" + parts[1] + "\" does not name two hosts",
                 "write HOST-HOST; " + host_suggestion(cluster, ""));
  const std::string a = parts[1].substr(0, dash), b = parts[1].substr(dash + 1);
  if (a == b)
    refuse_words(words, "a link goes from \"" + a + "\" to itself",
                 "name two hosts; " + host_suggestion(cluster, ""));
  try {
    for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
      LinkSpec& link = link_between(cluster, from, to);
      link.mbit_per_s = parse_mbit_per_s(parts[2]);
      if (parts.size() == 4) link.latency_ms = parse_ms(parts[3]);
      link.source = Source::assumed;
    }
  } catch (const Fault& fault) {
    refuse_words(words, fault.text(), fault.fix().text);
  }
}

void remove_host(ClusterSpec& cluster, const std::string& name, const std::string& words) {
  if (coordinates(cluster, *host_named(cluster, name)))
    refuse_words(words, "\"" + name + "\" is the host that coordinates",
                 "remove its devices one by one");
  std::erase_if(cluster.hosts, [&](const HostSpec& host) { return host.name == name; });
  std::erase_if(cluster.links,
                [&](const LinkSpec& link) { return link.from == name || link.to == name; });
}

// Among the names of hosts and of devices.
std::string any_suggestion(const ClusterSpec& cluster, const std::string& name) {
  std::set<std::string_view> names;
  for (const HostSpec& host : cluster.hosts) {
    names.insert(host.name);
    for (const DeviceSpec& device : host.devices) names.insert(device.name);
  }
  return suggestion(name, std::vector<std::string_view>(names.begin(), names.end()));
}

void remove(ClusterSpec& cluster, const std::string& name, const std::string& words) {
  if (host_named(cluster, name))
    remove_host(cluster, name, words);
  else if (find_device(cluster, name))
    for (HostSpec& host : cluster.hosts)
      std::erase_if(host.devices, [&](const DeviceSpec& device) { return device.name == name; });
  else
    refuse_words(words, "there is no host or device \"" + name + "\"",
                 any_suggestion(cluster, name));
  if (!find_device(cluster, cluster.head)) cluster.head.clear();
  const bool empty = std::all_of(cluster.hosts.begin(), cluster.hosts.end(),
                                 [](const HostSpec& host) { return host.devices.empty(); });
  if (empty) refuse_words(words, "nothing is left", "leave one device");
}

}  // namespace

void apply_what_ifs(ClusterSpec& cluster, const std::vector<std::string>& changes) {
  for (size_t i = 0; i < changes.size(); ++i) {
    if (std::find(changes.begin(), changes.begin() + i, changes[i]) != changes.begin() + i)
      refuse_words(changes[i], "this change is given twice",
                   "give each change once; two cards are \"add 2x3090@HOST\"");
    apply_what_if(cluster, changes[i]);
  }
}

void apply_what_if(ClusterSpec& cluster, const std::string& words) {
  std::istringstream stream(words);
  std::vector<std::string> parts;
  for (std::string part; stream >> part;) parts.push_back(part);
  const std::string verb = parts.empty() ? "" : parts[0];
  if (verb == "add" && parts.size() >= 2) return add(cluster, card_and_host(parts, words), words);
  if (verb == "link") return change_link(cluster, parts, words);
  if (verb == "remove" && parts.size() >= 2) {
    check_end(parts, 2, "write: remove nas", words);
    return remove(cluster, parts[1], words);
  }
  refuse_words(words, "potluck knows no such change",
               "write \"add 3090@desk\", \"link desk-nas 2.5gbit\" or \"remove nas\"");
}

}  // namespace potluck
