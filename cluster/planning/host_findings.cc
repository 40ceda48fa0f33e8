// Compares the hosts' reports with each other, and with what the cluster file says.
#include "cluster/planning/host_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "cluster/cli/statistics.h"
#include "cluster/planning/disk.h"
#include "cluster/planning/host_report.h"
#include "topology/base/text.h"
#include "topology/base/version.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

std::string place_of(const ClusterSpec& cluster, const HostSpec& host) {
  return cluster.file + ":" + std::to_string(host.line);
}

void compare_version(const HostSeen& host, std::vector<Finding>& found) {
  const std::string software = host.report.at("software");
  if (software != kSoftware)
    found.push_back({Severity::problem, host.spec.name,
                     "it has " + software + ", and this machine " + kSoftware,
                     std::string("install ") + kSoftware + " there"});
}

void compare_key(const ClusterSpec& cluster, const HostSeen& host, std::vector<Finding>& found) {
  const std::string key = host.report.at("key");
  if (key.empty() || cluster.options.insecure_plaintext || key == host.spec.key) return;
  const std::string fix =
      "write key: " + key + " under the host at " + place_of(cluster, host.spec);
  if (host.spec.key.empty())
    found.push_back(
        {Severity::note, host.spec.name, "the cluster file does not name its key", fix});
  else
    found.push_back({Severity::problem, host.spec.name,
                     "its key is another one than the cluster file names, " + host.spec.key,
                     "if you have made it a new one, " + fix + "; if not, see who answers there"});
}

bool has_model(const ordered_json& report) {
  return report.at("model").at("there");
}

// The model of the first host that has it; the others' have to be the same.
const HostSeen* first_with_model(const std::vector<HostSeen>& hosts) {
  const auto found = std::find_if(hosts.begin(), hosts.end(),
                                  [](const HostSeen& host) { return has_model(host.report); });
  return found == hosts.end() ? nullptr : &*found;
}

void compare_model(const HostSeen& host, const HostSeen& first, std::vector<Finding>& found) {
  const ordered_json &mine = host.report.at("model"), &theirs = first.report.at("model");
  const std::string copy = fmt::format(
      "copy that of {} there (rsync --partial {}:{} …), or name the right one with model: under "
      "the host",
      first.spec.name, first.spec.name, std::string(theirs.at("name")));
  if (!has_model(host.report)) {
    const ordered_json& disk = host.report.at("disk");
    const uint64_t free = disk.value("bytes_free", uint64_t{0}), needed = theirs.at("bytes");
    if (free < kDiskLeast || free >= needed) return;  // the host itself says so below that
    Finding full = disk_finding(disk.at("folder"), free, needed);
    full.where = host.spec.name;
    full.severity = Severity::warning;  // for the layers that it runs may fit
    found.push_back(full);
  } else if (mine.at("spec") != theirs.at("spec")) {
    found.push_back({Severity::problem, host.spec.name,
                     "its " + std::string(mine.at("name")) + " is another model than that of " +
                         first.spec.name,
                     copy});
  } else if (mine.at("contents") != theirs.at("contents")) {
    found.push_back({Severity::problem, host.spec.name,
                     fmt::format("its {} holds other weights ({}) than that of {} ({})",
                                 std::string(mine.at("name")), std::string(mine.at("contents")),
                                 first.spec.name, std::string(theirs.at("contents"))),
                     copy});
  }
}

// Clocks are held against the one in the middle: of two hosts, against this machine's.
void compare_clocks(const std::vector<HostSeen>& hosts, std::vector<Finding>& found) {
  std::vector<double> all;
  for (const HostSeen& host : hosts) all.push_back(host.skew.seconds);
  const double middle = all.size() > 2 ? median(all) : 0;
  for (const HostSeen& host : hosts) {
    const double skew = host.skew.seconds - middle;
    if (std::abs(skew) - host.skew.within <= kSkewSeconds) continue;
    found.push_back(
        {Severity::warning, host.spec.name,
         fmt::format("its clock is {:.1f} s {} the others', so logs cannot be compared "
                     "and tokens for joining end at the wrong time",
                     std::abs(skew), skew > 0 ? "ahead of" : "behind"),
         "on " + host.spec.name +
             ": sudo timedatectl set-ntp true (or set it once: sudo date -s @SECONDS)"});
  }
}

void compare_instructions(const ClusterSpec& cluster, const std::vector<HostSeen>& hosts,
                          std::vector<Finding>& found) {
  std::set<std::string> sets;
  std::string list;
  for (const HostSeen& host : hosts)
    if (const std::string isa = host.report.at("cpu").at("instructions"); sets.insert(isa).second)
      add_to_list(list, isa + " (" + host.spec.name + ")");
  if (sets.size() < 2 || cluster.options.precision == Precision::exact) return;
  found.push_back({Severity::note, "",
                   "CPUs have unlike instruction sets: " + list +
                       "; the same seed gives another answer on another split",
                   "where that matters, write precision: exact under options"});
}

}  // namespace

std::vector<Finding> host_findings(const ClusterSpec& cluster, const std::vector<HostSeen>& hosts) {
  std::vector<Finding> found;
  const HostSeen* first = first_with_model(hosts);
  for (const HostSeen& host : hosts) {
    for (Finding each : findings_of(host.report)) {
      each.where = host.spec.name;
      found.push_back(each);
    }
    compare_version(host, found);
    compare_key(cluster, host, found);
    if (first && first != &host) compare_model(host, *first, found);
  }
  compare_clocks(hosts, found);
  compare_instructions(cluster, hosts, found);
  return found;
}

}  // namespace potluck
