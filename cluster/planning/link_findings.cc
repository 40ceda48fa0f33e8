// Tells what keeps a link from working by how each address failed.
#include "cluster/planning/link_findings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/planning/machine_state.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

constexpr double kFarBelow = 0.5;  // of what both interfaces say

bool is_declared(const Direction& d, const std::string& address) {
  return std::count(d.to.addresses.begin(), d.to.addresses.end(), address) > 0;
}

// "cluster.yaml:12"
std::string place_of(const Direction& d) {
  return d.cluster.file + ":" +
         std::to_string(d.to.addresses_line ? d.to.addresses_line : d.to.line);
}

std::string interface_text(const ordered_json& report, const std::string& address) {
  const ordered_json each = interface_with(report, address);
  return each.empty() ? address : address + " (" + std::string(each.at("name")) + ")";
}

std::string tried_text(const Tried& tried) {
  return tried.address + " " + (tried.why.empty() ? "answers" : tried.why);
}

std::string all_tried_text(const Direction& d) {
  std::vector<std::string> texts;
  for (const Tried& each : d.reached.tried) texts.push_back(tried_text(each));
  return fmt::format("{}", fmt::join(texts, ", "));
}

// How the address failed that the cluster file names first; of one that it does not name, whichever
// came nearest to an answer.
const Tried& telling(const Direction& d) {
  const auto rank = [&](const Tried& tried) {
    return std::pair(!is_declared(d, tried.address), static_cast<int>(tried.outcome));
  };
  return *std::min_element(d.reached.tried.begin(), d.reached.tried.end(),
                           [&](const Tried& a, const Tried& b) { return rank(a) < rank(b); });
}

Finding blocked(const Direction& d, const Tried& tried, const std::string& how) {
  const Firewall firewall = firewall_of(d.to_report.at("firewall"));
  const std::string from = firewall == Firewall::ufw ? tried.from : "";
  const std::string ports =
      d.to.port_first
          ? ""
          : "; and give it ports that stay the same (ports: 7000-7010 at " + place_of(d) + ")";
  return {Severity::problem, "",
          fmt::format("{} at {}, TCP port {}{}", how, tried.address, d.port,
                      d.other_way ? "; the other direction works" : ""),
          fmt::format("on {}: {}{}", d.to.name, open_port_command(firewall, d.port, from), ports)};
}

Finding unrouted(const Direction& d, const Tried& tried) {
  return {Severity::problem, "",
          fmt::format("there is no way to {} at {}: {}", d.to.name, tried.address, tried.why),
          fmt::format("give both an address in one network (ip address shows them), add a route "
                      "(sudo ip route add {} via ROUTER), or join both to a WireGuard or Tailscale "
                      "network and write that address at {}",
                      tried.address, place_of(d))};
}

Finding stranger(const Direction& d, const Tried& tried) {
  return {Severity::problem, "",
          fmt::format("somebody answers at {}, TCP port {}, who is not {} ({})", tried.address,
                      d.port, d.to.name, tried.why),
          fmt::format("see on {} which machine has that address (ip neighbour), and write another "
                      "one of {} at {}",
                      d.from.name, d.to.name, place_of(d))};
}

Finding own(const Direction& d, const Tried& tried) {
  return {Severity::problem, "",
          fmt::format("{} is an address of {} itself, so {} cannot be reached at it", tried.address,
                      d.from.name, d.to.name),
          fmt::format("write an address that {} alone has at {}", d.to.name, place_of(d))};
}

Finding unreached(const Direction& d) {
  if (d.reached.tried.empty())
    return {Severity::problem, "", d.to.name + " has no address but loopback",
            "connect it to a network (ip address shows what it has)"};
  const Tried& tried = telling(d);
  switch (tried.outcome) {
    case Outcome::refused:
      return blocked(d, tried, d.to.name + " refuses to be called");
    case Outcome::unrouted:
      return unrouted(d, tried);
    case Outcome::own:
      return own(d, tried);
    case Outcome::stranger:
      return stranger(d, tried);
    case Outcome::silent:
    case Outcome::reached:
      break;
  }
  return blocked(d, tried, d.to.name + " does not answer: a firewall drops what comes");
}

// Another address works than the one that the cluster file names first.
std::vector<Finding> wrong_address(const Direction& d) {
  const std::string& works = d.reached.address;
  if (d.to.addresses.empty())
    return {{Severity::note, "",
             "reached at " + interface_text(d.to_report, works) +
                 ", which the cluster file does not name",
             fmt::format("write addresses: [{}] at {}", works, place_of(d))}};
  if (works == d.to.addresses.front()) return {};
  std::vector<std::string> better = {works};
  for (const std::string& each : d.to.addresses)
    if (each != works) better.push_back(each);
  const bool declared = is_declared(d, works);
  return {
      {declared ? Severity::warning : Severity::problem, "",
       fmt::format("the address that the cluster file names first leads nowhere ({}), but {} is "
                   "reached at {}",
                   all_tried_text(d), d.to.name, interface_text(d.to_report, works)),
       fmt::format("write addresses: [{}] at {}",
                   fmt::join(declared ? better : std::vector<std::string>{works}, ", "),
                   place_of(d))}};
}

const Tried* used(const Direction& d) {
  for (const Tried& each : d.reached.tried)
    if (each.address == d.reached.address) return &each;
  return nullptr;
}

// Why a link may be slow, by what its two interfaces say of themselves.
std::string slow_fix(const Direction& d, const ordered_json& mine, const ordered_json& theirs) {
  for (const auto& [host, each] : {std::pair(&d.from, &mine), std::pair(&d.to, &theirs)}) {
    if (each->empty()) continue;
    const std::string name = std::string(each->at("name")) + " of " + host->name;
    const int rate = each->at("mbit_per_s");
    if (each->at("kind") == "wifi") return name + " is Wi-Fi: use a cable";
    if (rate && rate <= 100)
      return fmt::format(
          "{} runs at {} Mbit/s: try another cable (with all 8 wires) and another "
          "port of the switch",
          name, rate);
    if (rate && d.reached.mbit_per_s < kFarBelow * rate)
      return fmt::format(
          "{} runs at {} Mbit/s, so what lies between is slower: look for Wi-Fi, "
          "powerline, a limit or other traffic there; or allow hop: int8 on this "
          "link, which halves what crosses it",
          name, rate);
  }
  return "use a faster network between them, or allow hop: int8 on this link, which halves what "
         "crosses it and changes the answer";
}

std::vector<Finding> speed_findings(const Direction& d) {
  const Tried* tried = used(d);
  const ordered_json mine = interface_with(d.from_report, tried ? tried->from : ""),
                     theirs = interface_with(d.to_report, d.reached.address);
  if (!d.reached.gave_way.empty())
    return {
        {Severity::problem, "",
         fmt::format("small messages pass, but one of a canvas does not: {}", d.reached.gave_way),
         fmt::format("find the largest packet that passes (ping -M do -s 1472 {}), and set the "
                     "interface to 28 bytes more (sudo ip link set dev IF mtu N); a link below "
                     "6 Mbit/s is too slow for a ring",
                     d.reached.address)}};
  std::vector<Finding> found;
  if (d.reached.message_ms > kSlowMessageMs)
    found.push_back({Severity::warning, "",
                     fmt::format("slow: {:.1f} Mbit/s, so a canvas takes {:.0f} ms on it",
                                 d.reached.mbit_per_s, d.reached.message_ms),
                     slow_fix(d, mine, theirs)});
  if (!mine.empty() && !theirs.empty() && mine.at("mtu") != theirs.at("mtu"))
    found.push_back(
        {Severity::note, "",
         fmt::format("its two ends send packets of unlike sizes: MTU {} at {}, {} at {}",
                     int{mine.at("mtu")}, std::string(mine.at("name")), int{theirs.at("mtu")},
                     std::string(theirs.at("name"))),
         fmt::format("set both alike: sudo ip link set dev {} mtu {} on {}",
                     std::string(theirs.at("name")), int{mine.at("mtu")}, d.to.name)});
  return found;
}

}  // namespace

ordered_json interface_with(const ordered_json& report, const std::string& address) {
  for (const ordered_json& each : report.at("interfaces"))
    for (const ordered_json& known : each.at("addresses"))
      if (known == address) return each;
  return ordered_json::object();
}

std::vector<Finding> link_findings(const Direction& direction) {
  std::vector<Finding> found;
  if (direction.reached.address.empty()) {
    found = {unreached(direction)};
  } else {
    found = wrong_address(direction);
    for (Finding& each : speed_findings(direction)) found.push_back(std::move(each));
  }
  for (Finding& each : found) each.where = direction.from.name + " → " + direction.to.name;
  return found;
}

}  // namespace potluck
