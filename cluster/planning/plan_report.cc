// Lays a report out in 80 columns, and as JSON.
#include "cluster/planning/plan_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cluster/planning/columns.h"
#include "cluster/planning/limits.h"
#include "topology/base/text.h"
#include "topology/cluster/cluster_check.h"

namespace potluck {
namespace {

constexpr int kSteps[] = {6, 12, 23};  // of a canvas: an easy answer, a usual one, a hard one
constexpr int kUsualSteps = 12;
constexpr int kNameMost = 22, kBarMost = 24;
constexpr int kRingFixed = 50, kMemoryFixed = 43;  // columns beside the name and the bar
constexpr int kChoiceName = 28;
constexpr size_t kUnusedShown = 3;  // devices
constexpr double kGiB = 1 << 30;
constexpr double kWorthIt = 1.02;  // times as fast as one machine

std::string objective_name(const PlanReport& report) {
  return report.objective.throughput ? "throughput" : "latency";
}

std::string proof_text(const PlanReport& report) {
  if (report.answer.proven)
    return report.objective.throughput ? "no ring makes more steps a second"
                                       : "no ring has a faster step";
  return fmt::format("the best ring found; at most {:.0f} % of the time could be saved",
                     100 * report.answer.gap());
}

std::string heading(const PlanReport& report) {
  size_t devices = 0;
  for (const HostSpec& host : report.cluster.hosts) devices += host.devices.size();
  const Plan& frame = report.problem.frame;
  const std::string needs = fmt::format("{}: {}, context of {} tokens, {}", report.model,
                                        count_text(report.problem.layers(), "layer"),
                                        frame.ctx_size, count_text(frame.sessions, "session"));
  const std::string has = fmt::format("{}: {}, {}; {}", report.cluster.file,
                                      count_text(report.cluster.hosts.size(), "host"),
                                      count_text(devices, "device"), proof_text(report));
  return wrapped("", needs) + wrapped("", has);
}

std::string what_if_lines(const PlanReport& report) {
  if (report.what_ifs.empty()) return "";
  const double now = report.answer.objective_ms;
  const std::string change =
      report.before_ms
          ? fmt::format("{:.1f} ms a step become {:.1f} ms: {:.2f} times as fast",
                        *report.before_ms, now, *report.before_ms / now)
          : fmt::format("the model fits, which it did not before: {:.1f} ms a step", now);
  return wrapped("what if  ", joined(report.what_ifs) + ": " + change);
}

int bar_width(size_t name_width, int fixed) {
  return std::min<int>(kBarMost, kColumns - fixed - name_width);
}

std::string ring_line(const RingRow& row, bool last, double longest, size_t name_width) {
  const std::string edge = last ? "  +-- " : row.part == "head" ? "  +-> " : "  |   ";
  const std::string who =
      last ? row.part
           : fmt::format("{:<{}} {}", shortened(row.device, kNameMost), name_width, row.part);
  std::string line = fmt::format("{}{:<{}}{:>9.1f} ms{}", edge, who, name_width + 14, row.wire_ms,
                                 row.narrow ? "*" : " ");
  line += last ? std::string(13, ' ') : fmt::format("{:>9.1f} ms ", row.work_ms);
  const int width = bar_width(name_width, kRingFixed);
  line += " " + bar(row.wire_ms / longest, width, '~');
  return line + bar(row.work_ms / longest, width, '#');
}

std::string ring_lines(const PlanReport& report) {
  const std::vector<RingRow> rows = ring_rows(report.problem, report.plan());
  const size_t slowest = slowest_row(rows);
  size_t name_width = 0;
  bool narrow = false;
  double longest = 0;
  for (const RingRow& row : rows) {
    name_width = std::max(name_width, shortened(row.device, kNameMost).size());
    longest = std::max(longest, row.wire_ms + row.work_ms);
    narrow = narrow || row.narrow;
  }
  std::string text =
      fmt::format("\n{:<{}}{:>12} {:>12}\n", "the ring", name_width + 20, "data in", "computes");
  for (size_t i = 0; i < rows.size(); ++i)
    text += ring_line(rows[i], i + 1 == rows.size(), longest, name_width) +
            (i == slowest ? " <\n" : "\n");
  const RingTimes times = ring_times(report.problem, report.plan());
  text += fmt::format("      {:<{}}{:>9.1f} ms {:>9.1f} ms  = {:.1f} ms a step\n", "a step",
                      name_width + 14, times.wire_ms(), times.compute_ms(), step_ms(times));
  if (narrow)
    text += "      * sent as int8, which this link allows: the answer is not quite the same\n";
  return text;
}

std::string speed_row(const PlanReport& report, const std::string& name, double ms) {
  std::string text = fmt::format("  {:<24}", name);
  for (const int steps : kSteps)
    text += fmt::format("{:>9.1f}", tokens_per_s(report.canvas, steps, ms));
  return text;
}

std::string speed_lines(const PlanReport& report) {
  const double step = step_ms(report.problem, report.plan());
  std::string text = fmt::format("\n{:<26}", "tokens/s");
  for (const int steps : kSteps) text += fmt::format("{:>9}", fmt::format("{} steps", steps));
  text += fmt::format("  for {} tokens\n", report.canvas);
  text += speed_row(report, "one answer", step) + "\n";
  const double period = period_ms(report.problem, report.plan());
  const int at_once = std::min(canvases_to_fill(step, period), report.problem.frame.sessions);
  if (at_once == 1) return text;
  const double each = std::max(period, step / at_once);
  return text + speed_row(report, fmt::format("{} answers at once", at_once), each) +
         fmt::format("  a step every {:.1f} ms\n", each);
}

std::string layers_text(const PlanReport& report, int device) {
  std::string text = report.plan().head == device ? "head" : "";
  int layers = 0;
  for (const PlacedStage& stage : report.plan().stages)
    if (stage.device == device) layers += stage.layers.size();
  if (layers) text += (text.empty() ? "" : ", ") + count_text(layers, "layer");
  return text.empty() ? "unused" : text;
}

std::string memory_lines(const PlanReport& report) {
  const PlanProblem& problem = report.problem;
  size_t name_width = 0;
  for (const PlanDevice& device : problem.devices)
    name_width = std::max(name_width, shortened(device.name, kNameMost).size());
  std::string text = "\nmemory that a plan may take\n";
  size_t unused = 0;
  for (size_t i = 0; i < problem.devices.size(); ++i) {
    const PlanDevice& device = problem.devices[i];
    if (device.memory_bytes == 0) continue;  // of a spare, which need not say
    const uint64_t bytes = bytes_on(problem, report.plan(), i);
    if (bytes == 0 && ++unused > kUnusedShown) continue;
    const int width = bar_width(name_width, kMemoryFixed);
    const std::string filled = bar(double(bytes) / device.memory_bytes, width, '#');
    text += fmt::format("  {:<{}} [{:.<{}}] {:>6.1f} of {:>6.1f} GiB  {}\n",
                        shortened(device.name, kNameMost), name_width, filled, width, bytes / kGiB,
                        device.memory_bytes / kGiB, layers_text(report, i));
  }
  if (unused > kUnusedShown) text += fmt::format("  and {} more, unused\n", unused - kUnusedShown);
  return text;
}

std::vector<std::string> all_limits(const PlanReport& report) {
  std::vector<std::string> lines = limits(report.problem, report.plan());
  const double step = step_ms(report.problem, report.plan());
  const double period = period_ms(report.problem, report.plan());
  const int fill = canvases_to_fill(step, period), sessions = report.problem.frame.sessions;
  if (report.objective.throughput && sessions < fill)
    lines.push_back(
        fmt::format("a step every {:.1f} ms takes {} answers at once, and there is room for {}: "
                    "write \"canvases: {}\" under options",
                    period, fill, sessions, fill));
  return lines;
}

// Nobody can measure what a what-if has added.
std::string unmeasured_text(const PlanReport& report) {
  if (!report.what_ifs.empty()) return "nobody has measured that";
  return "potluck doctor --cluster " + report.cluster.file + " --write measures that";
}

std::string limit_lines(const PlanReport& report) {
  std::string text = "\n", title = "limits   ";
  for (const std::string& line : all_limits(report)) {
    text += wrapped(title, line);
    title.assign(title.size(), ' ');
  }
  std::vector<std::string> left = report.left_out;
  if (left.size() > kUnusedShown) {
    left.resize(kUnusedShown);
    left.push_back(fmt::format("and {} more", report.left_out.size() - kUnusedShown));
  }
  if (!left.empty()) text += wrapped("left out ", joined(left));
  const std::vector<std::string> assumed = assumed_parts(report);
  if (!assumed.empty())
    text += wrapped("assumed  ", joined(assumed, "; ") + " (" + unmeasured_text(report) + ")");
  return text;
}

std::string choice_line(const PlanReport& report, const Choice& choice) {
  const std::string name = "  " + shortened(choice.name, kChoiceName - 3);
  const std::string figures =
      choice.ms ? fmt::format("{:>9.1f} {:>9.1f}", *choice.ms,
                              tokens_per_s(report.canvas, kUsualSteps, *choice.ms))
                : fmt::format("{:>9} {:>9}", "-", "-");
  return wrapped(fmt::format("{:<{}}{}  ", name, kChoiceName, figures), choice.why);
}

std::string choice_lines(const PlanReport& report, const char* title,
                         const std::vector<Choice>& choices) {
  std::string text = fmt::format("\n{:<{}}{:>9} {:>9}\n", title, kChoiceName,
                                 report.objective.throughput ? "ms each" : "ms a step", "tokens/s");
  for (const Choice& choice : choices) text += choice_line(report, choice);
  return text;
}

std::string host_name(const PlanReport& report, const std::string& device) {
  const PlanProblem& problem = report.problem;
  return problem.hosts[problem.devices[problem.device_named(device)].host];
}

std::set<int> hosts_used(const PlanReport& report) {
  std::set<int> hosts = {report.problem.devices[report.plan().head].host};
  for (const PlacedStage& stage : report.plan().stages)
    hosts.insert(report.problem.devices[stage.device].host);
  return hosts;
}

std::string verdict(const PlanReport& report) {
  if (report.cluster.hosts.size() == 1) return "there is one machine, and the plan uses it";
  if (hosts_used(report).size() == 1)
    return "no: one machine is the fastest; the others would only slow it down";
  const Choice& best = report.alone.front();
  if (!best.ms) return "yes: no machine holds the model alone";
  const double ratio = *best.ms / report.answer.objective_ms;
  if (ratio < kWorthIt) return "hardly: " + best.name + " is as fast";
  return fmt::format("yes: {:.2f} times as fast as {}", ratio, best.name);
}

std::string worth_lines(const PlanReport& report) {
  std::vector<Choice> rows = {report.alone.front(), {"this ring", report.answer.objective_ms, ""}};
  rows.insert(rows.end(), report.improved.begin(), report.improved.end());
  return choice_lines(report, "is it worth it? (12 steps)", rows) + wrapped("  ", verdict(report));
}

nlohmann::json choices_json(const PlanReport& report, const std::vector<Choice>& choices) {
  nlohmann::json all = nlohmann::json::array();
  for (const Choice& choice : choices) {
    nlohmann::json one = {{"name", choice.name}, {"why", choice.why}};
    if (choice.ms) {
      one["ms"] = *choice.ms;
      one["tokens_per_s"] = tokens_per_s(report.canvas, kUsualSteps, *choice.ms);
    }
    all.push_back(one);
  }
  return all;
}

nlohmann::json ring_json(const PlanReport& report) {
  nlohmann::json all = nlohmann::json::array();
  for (const RingRow& row : ring_rows(report.problem, report.plan()))
    all.push_back({{"device", row.device},
                   {"part", row.part},
                   {"wire_ms", row.wire_ms},
                   {"compute_ms", row.work_ms},
                   {"int8", row.narrow}});
  return all;
}

nlohmann::json memory_json(const PlanReport& report) {
  nlohmann::json all = nlohmann::json::array();
  for (size_t i = 0; i < report.problem.devices.size(); ++i)
    all.push_back({{"device", report.problem.devices[i].name},
                   {"bytes", bytes_on(report.problem, report.plan(), i)},
                   {"of", report.problem.devices[i].memory_bytes},
                   {"part", layers_text(report, i)}});
  return all;
}

}  // namespace

std::vector<std::string> assumed_parts(const PlanReport& report) {
  std::vector<std::string> speeds, memories, links, parts;
  const auto add = [](std::vector<std::string>& list, const std::string& name) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  };
  const std::vector<RingRow> rows = ring_rows(report.problem, report.plan());
  for (size_t i = 0; i < rows.size(); ++i) {
    const DeviceSpec* device = find_device(report.cluster, rows[i].device);
    if (device->speed->source == Source::assumed) add(speeds, device->name);
    if (device->memory_source == Source::assumed) add(memories, device->name);
    const std::string from = host_name(report, rows[i == 0 ? 0 : i - 1].device);
    const std::string to = host_name(report, rows[i].device);
    const LinkSpec* link = find_link(report.cluster, from, to);
    if (from != to && (!link || link->source == Source::assumed)) add(links, from + " to " + to);
  }
  if (!speeds.empty()) parts.push_back("speed of " + joined(speeds));
  if (!memories.empty()) parts.push_back("memory of " + joined(memories));
  if (!links.empty()) parts.push_back((links.size() > 1 ? "links " : "link ") + joined(links));
  return parts;
}

std::string plan_text(const PlanReport& report) {
  return heading(report) + what_if_lines(report) + ring_lines(report) + speed_lines(report) +
         memory_lines(report) + limit_lines(report) +
         choice_lines(report, "other plans (12 steps)", report.rejected) + worth_lines(report);
}

nlohmann::json plan_json(const PlanReport& report) {
  nlohmann::json speeds;
  const double step = step_ms(report.problem, report.plan());
  for (const int steps : kSteps)
    speeds[std::to_string(steps)] = tokens_per_s(report.canvas, steps, step);
  nlohmann::json all = {{"model", report.model},
                        {"objective", objective_name(report)},
                        {"objective_ms", report.answer.objective_ms},
                        {"proven", report.answer.proven},
                        {"gap", report.answer.gap()},
                        {"step_ms", step},
                        {"period_ms", period_ms(report.problem, report.plan())},
                        {"tokens_per_s", speeds},
                        {"ring", ring_json(report)},
                        {"memory", memory_json(report)},
                        {"limits", all_limits(report)},
                        {"left_out", report.left_out},
                        {"assumed", assumed_parts(report)},
                        {"alone", choices_json(report, report.alone)},
                        {"rejected", choices_json(report, report.rejected)},
                        {"improved", choices_json(report, report.improved)},
                        {"verdict", verdict(report)}};
  if (report.before_ms) all["before_ms"] = *report.before_ms;
  if (!report.what_ifs.empty()) all["what_if"] = report.what_ifs;
  return all;
}

}  // namespace potluck
