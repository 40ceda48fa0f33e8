// Starts the doctors, gives them orders, and puts their answers together.
#include "cluster/planning/cluster_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "cluster/planning/host_findings.h"
#include "cluster/planning/host_report.h"
#include "cluster/planning/link_findings.h"
#include "cluster/planning/rounds.h"
#include "cluster/planning/speed_json.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/wall_clock.h"
#include "topology/model/synthetic.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

constexpr double kReportSeconds = 300;  // a slow CPU runs the head of a large model
constexpr double kShortSeconds = 20, kReachSeconds = 60;
constexpr int kClockQuestions = 3;
constexpr uint64_t kBytesOfBf16 = 2;
constexpr uint64_t kMessageBytes = 256 * 2816 * kBytesOfBf16;  // of the released model

struct Host {
  const HostSpec& spec;
  std::unique_ptr<HostDoctor> doctor;  // none any more once it has failed
  ordered_json report;                 // null until it has answered
  Skew skew;
  int port = 0;  // 0: nobody listens there
};

class ClusterCheck final {
 public:
  ClusterCheck(const ClusterSpec& cluster, const CheckOptions& options)
      : cluster_(cluster), options_(options) {
    for (const HostSpec& spec : cluster.hosts) hosts_.push_back({spec});
  }

  ClusterReport run() {
    const Time begin = now();
    start();
    ask_reports();
    ask_clocks();
    listen();
    measure_links();
    take_findings();
    for (const Host& host : hosts_) report_.hosts.push_back(host.report);
    report_.seconds = seconds(now() - begin);
    return std::move(report_);
  }

 private:
  // A failure at a host is a finding there, and ends that host's part.
  template <typename Work>
  void at(Host& host, Work work) {
    if (!host.doctor) return;
    try {
      work();
    } catch (const Fault& fault) {
      if (fault.kind() == FaultKind::canceled) throw;
      report_.findings.push_back(
          {Severity::problem, host.spec.name, fault.text(), fault.fix().text});
      host.doctor.reset();
    }
  }

  void start() {
    for (Host& host : hosts_) {
      options_.say("asking " + host.spec.name);
      try {
        host.doctor =
            std::make_unique<HostDoctor>(host.spec, options_.program, RemoteShell(options_.ssh));
      } catch (const Fault& fault) {
        report_.findings.push_back(
            {Severity::problem, host.spec.name, fault.text(), fault.fix().text});
      }
    }
  }

  HostQuestion question_for(const HostSpec& spec) const {
    HostQuestion question;
    question.model = !options_.model.empty() ? options_.model
                     : !spec.model.empty()   ? spec.model
                                             : cluster_.model;
    question.fresh = options_.fresh;
    question.shapes = shapes_;
    for (const DeviceSpec& device : spec.devices)
      question.devices.push_back(
          {device.device, device.threads,
           device.memory_source == Source::stated ? device.memory_bytes : 0});
    return question;
  }

  // Those of the model here, for hosts that lack it; none if it is not here either, which this
  // machine's own doctor says.
  void find_shapes() {
    try {
      const std::string& model = options_.model.empty() ? cluster_.model : options_.model;
      shapes_ = shapes_text(*open_model(model, options_.places));
    } catch (const Fault&) {
      shapes_.clear();
    }
  }

  void ask_reports() {
    find_shapes();
    for (Host& host : hosts_)
      at(host, [&] {
        ordered_json order = question_json(question_for(host.spec));
        order["order"] = "report";
        host.doctor->order(order);
      });
    for (Host& host : hosts_) at(host, [&] { host.report = host.doctor->answer(kReportSeconds); });
  }

  void ask_clocks() {
    for (Host& host : hosts_)
      for (int i = 0; i < kClockQuestions; ++i)
        at(host, [&] {
          const double before = fine_unix_seconds();
          const double there =
              host.doctor->ask({{"order", "clock"}}, kShortSeconds).at("unix_seconds");
          const double after = fine_unix_seconds(), within = (after - before) / 2;
          if (i == 0 || within < host.skew.within)
            host.skew = {there - (before + after) / 2, within};
        });
  }

  // One without has said why; nobody can call it, or be called by it.
  static bool has_key(const Host& host) { return host.doctor && host.report.at("key") != ""; }

  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const Host& host : hosts_)
      if (has_key(host)) keys.push_back(host.report.at("key"));
    return keys;
  }

  void listen() {
    for (Host& host : hosts_) {
      const bool plain = cluster_.options.insecure_plaintext;
      const std::vector<std::string> addresses = addresses_of(host);
      if (plain ? addresses.empty() : !has_key(host)) continue;
      at(host, [&] {
        host.port = host.doctor
                        ->ask({{"order", "listen"},
                               {"ports", {host.spec.port_first, host.spec.port_last}},
                               {"keys", keys()},
                               {"plain_host", plain ? addresses.front() : ""}},
                              kShortSeconds)
                        .at("port");
      });
    }
  }

  // Those of the cluster file, and then whatever else the host has.
  std::vector<std::string> addresses_of(const Host& host) const {
    std::vector<std::string> all = host.spec.addresses;
    if (host.report.is_null()) return all;
    for (const ordered_json& each : host.report.at("interfaces"))
      for (const std::string address : each.at("addresses"))
        if (!std::count(all.begin(), all.end(), address)) all.push_back(address);
    return all;
  }

  uint64_t message_bytes() const {
    for (const Host& host : hosts_)
      if (!host.report.is_null() && host.report.at("model").at("there"))
        return host.report["model"]["hidden"].get<uint64_t>() *
               host.report["model"]["canvas"].get<uint64_t>() * kBytesOfBf16;
    return kMessageBytes;
  }

  void order_reach(Host& from, const Host& to) {
    Reach request;
    request.addresses = addresses_of(to);
    request.port = to.port;
    if (!cluster_.options.insecure_plaintext) request.key = to.report.at("key");
    request.message_bytes = message_bytes();
    ordered_json order = reach_json(request);
    order["order"] = "reach";
    from.doctor->order(order);
  }

  void measure_links() {
    std::vector<Host*> there;
    for (Host& host : hosts_)
      if (host.doctor && host.port) there.push_back(&host);
    if (there.size() > 1) options_.say("measuring the links between them");
    for (const auto& round : rounds_of(std::ssize(there))) {
      for (const auto& [a, b] : round)
        at(*there[a], [&, to = there[b]] { order_reach(*there[a], *to); });
      for (const auto& [a, b] : round)
        at(*there[a], [&, from = there[a], to = there[b]] {
          report_.links.push_back({from->spec.name, to->spec.name, to->port,
                                   reached_of(from->doctor->answer(kReachSeconds))});
        });
    }
  }

  const Host& host_of(const std::string& name) const {
    return *std::find_if(hosts_.begin(), hosts_.end(),
                         [&](const Host& host) { return host.spec.name == name; });
  }

  bool works(const std::string& from, const std::string& to) const {
    return std::any_of(report_.links.begin(), report_.links.end(), [&](const CheckedLink& link) {
      return link.from == from && link.to == to && !link.reached.address.empty();
    });
  }

  void take_findings() {
    std::vector<HostSeen> seen;
    for (const Host& host : hosts_)
      if (!host.report.is_null()) seen.push_back({host.spec, host.report, host.skew});
    std::vector<Finding> found = host_findings(cluster_, seen);
    for (const CheckedLink& link : report_.links) {
      const Host &from = host_of(link.from), &to = host_of(link.to);
      const Direction direction{cluster_,  from.spec, to.spec,      from.report,
                                to.report, link.port, link.reached, works(link.to, link.from)};
      for (const Finding& each : link_findings(direction)) found.push_back(each);
    }
    report_.findings.insert(report_.findings.end(), found.begin(), found.end());
  }

  const ClusterSpec& cluster_;
  const CheckOptions& options_;
  std::vector<Host> hosts_;
  std::string shapes_;  // of the model
  ClusterReport report_;
};

void take_device(const ordered_json& measured, DeviceSpec& device) {
  if (device.memory_bytes == 0 || device.memory_source == Source::measured) {
    device.memory_bytes = measured.value("bytes", uint64_t{0});
    device.memory_source = Source::measured;
  }
  if (device.speed && device.speed->source == Source::stated) return;
  if (!measured.contains("speed")) return;
  const DeviceSpeed speed = speed_of(measured["speed"]);
  if (speed.sliding_layer_ms > 0) device.speed = speed;
}

void take_link(const CheckedLink& measured, ClusterSpec& cluster) {
  if (measured.reached.mbit_per_s == 0) return;
  auto known = std::find_if(cluster.links.begin(), cluster.links.end(), [&](const LinkSpec& link) {
    return link.from == measured.from && link.to == measured.to;
  });
  if (known == cluster.links.end()) {
    known = cluster.links.insert(known, LinkSpec{measured.from, measured.to});
    known->source = Source::measured;
  }
  if (known->source == Source::stated) return;
  known->latency_ms = measured.reached.latency_ms;
  known->mbit_per_s = measured.reached.mbit_per_s;
  known->source = Source::measured;
}

}  // namespace

ClusterReport check_cluster(const ClusterSpec& cluster, const CheckOptions& options) {
  return ClusterCheck(cluster, options).run();
}

ordered_json cluster_json(const ClusterSpec& cluster, const ClusterReport& report) {
  ordered_json hosts = ordered_json::object(), links = ordered_json::array(),
               findings = ordered_json::array();
  for (size_t i = 0; i < report.hosts.size(); ++i) hosts[cluster.hosts[i].name] = report.hosts[i];
  for (const CheckedLink& link : report.links) {
    ordered_json json = {{"from", link.from}, {"to", link.to}, {"port", link.port}};
    json.update(reached_json(link.reached));
    links.push_back(json);
  }
  for (const Finding& finding : report.findings) findings.push_back(finding_json(finding));
  return {{"hosts", hosts}, {"links", links}, {"findings", findings}, {"seconds", report.seconds}};
}

void take_measured(const ClusterReport& report, ClusterSpec& cluster) {
  for (size_t i = 0; i < report.hosts.size(); ++i) {
    if (report.hosts[i].is_null()) continue;
    for (const ordered_json& measured : report.hosts[i].at("devices"))
      for (DeviceSpec& device : cluster.hosts[i].devices)
        if (device.device == measured.at("device")) take_device(measured, device);
  }
  for (const CheckedLink& link : report.links) take_link(link, cluster);
}

}  // namespace potluck
