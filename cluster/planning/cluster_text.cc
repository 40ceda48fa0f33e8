// Writes a cluster's report: its hosts with their devices, a table of links, and the findings.
#include "cluster/planning/cluster_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/planning/host_text.h"
#include "cluster/planning/link_findings.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

const ordered_json* report_of(const ClusterSpec& cluster, const ClusterReport& report,
                              const std::string& name) {
  for (size_t i = 0; i < cluster.hosts.size(); ++i)
    if (cluster.hosts[i].name == name && !report.hosts[i].is_null()) return &report.hosts[i];
  return nullptr;
}

void append_host(const HostSpec& host, const ordered_json& report,
                 std::vector<std::string>& lines) {
  if (report.is_null()) {
    lines.push_back(host.name + ": does not answer");
    return;
  }
  const ordered_json& memory = report.at("memory");
  lines.push_back(fmt::format("{}: {}, {}, {} of memory free", host.name,
                              std::string(report.at("software")), std::string(report.at("system")),
                              bytes_text(memory.at("bytes_free"))));
  for (const std::string& line : host_device_lines(report)) lines.push_back("  " + line);
}

std::string end_text(const ordered_json* report, const std::string& address) {
  const ordered_json each = report ? interface_with(*report, address) : ordered_json::object();
  return each.empty() ? address : address + " (" + std::string(each.at("name")) + ")";
}

std::string link_line(const ClusterSpec& cluster, const ClusterReport& report,
                      const CheckedLink& link) {
  const std::string name = link.from + " → " + link.to;
  const std::string padding(name.size() < 28 ? 28 - name.size() : 1, ' ');
  const Reached& reached = link.reached;
  if (reached.mbit_per_s == 0) return name + padding + "does not work";
  std::string from;
  for (const Tried& tried : reached.tried)
    if (tried.address == reached.address) from = tried.from;
  return fmt::format("{}{}{:8.2f} ms {:9.1f} Mbit/s {:9.1f} ms a canvas, {} → {}", name, padding,
                     reached.latency_ms, reached.mbit_per_s, reached.message_ms,
                     end_text(report_of(cluster, report, link.from), from),
                     end_text(report_of(cluster, report, link.to), reached.address));
}

}  // namespace

std::vector<std::string> cluster_lines(const ClusterSpec& cluster, const ClusterReport& report) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < cluster.hosts.size(); ++i)
    append_host(cluster.hosts[i], report.hosts[i], lines);
  for (const CheckedLink& link : report.links) lines.push_back(link_line(cluster, report, link));
  for (const std::string& line : finding_lines(report.findings)) lines.push_back(line);
  lines.push_back(fmt::format("{} and {} in {:.1f} s", count_text(cluster.hosts.size(), "host"),
                              count_text(report.links.size(), "link"), report.seconds));
  std::transform(lines.begin(), lines.end(), lines.begin(),
                 [](const std::string& line) { return one_line(line); });
  return lines;
}

}  // namespace potluck
