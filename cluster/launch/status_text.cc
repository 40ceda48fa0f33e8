// Lays a ring's status out as a table.
#include "cluster/launch/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cluster/ring/remote_shell.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

constexpr char kStatus[] = "the status of a ring";

std::string time_text(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string memory_text(const JsonFields& worker) {
  if (!worker.has("weight_bytes")) return "-";
  const double taken =
      worker.number("weight_bytes") + worker.number("kv_bytes") + worker.number("workspace_bytes");
  return bytes_text(static_cast<uint64_t>(taken)) + " of " +
         bytes_text(static_cast<uint64_t>(worker.number("free_bytes")));
}

std::string layers_text(const JsonFields& worker) {
  const std::vector<int> layers = worker.integers("layers");
  return layers.size() == 2 && layers[1] > layers[0] ? fmt::format("{}:{}", layers[0], layers[1])
                                                     : "head";
}

std::string worker_row(const JsonFields& worker) {
  const std::string host = worker.text("host"),
                    ms = worker.number("step_ms") > 0
                             ? fmt::format("{:.1f}", worker.number("step_ms"))
                             : "-";
  return fmt::format("  {:<20} {:<8} {:>7} {:>8}  {:<24} {}\n", harmless(worker.text("name")),
                     harmless(worker.text("device")), layers_text(worker), ms, memory_text(worker),
                     host.empty() ? kHere : harmless(host));
}

std::string step_line(const JsonFields& step) {
  std::string line = "no step yet in this ring";
  if (step.number("ms") > 0)
    line = fmt::format("last step {:.1f} ms: {:.1f} computed, {:.1f} on the wire ({})",
                       step.number("ms"), step.number("ms") - step.number("wire_ms"),
                       step.number("wire_ms"),
                       bytes_text(static_cast<uint64_t>(step.number("wire_bytes"))));
  if (step.has("predicted_ms"))
    line += fmt::format("; predicted {:.1f} ms", step.number("predicted_ms"));
  return line + "\n";
}

std::string link_row(const JsonFields& link) {
  return fmt::format("  {:<42} {:>10} {:>12.2f}\n",
                     harmless(link.text("from")) + " → " + harmless(link.text("to")),
                     bytes_text(static_cast<uint64_t>(link.number("bytes"))),
                     link.number("mb_per_s"));
}

// The rate is that over the whole time of a step: the link itself may be much faster.
std::string links_text(const nlohmann::json& links) {
  if (links.empty()) return "";
  std::string text = fmt::format("  {:<40} {:>10} {:>12}\n", "link", "a step", "carried MB/s");
  for (const nlohmann::json& link : links) text += link_row({link, kStatus});
  return text;
}

// Workers of other machines that the ring could have and does without.
std::string beside_text(const nlohmann::json& beside) {
  std::string names;
  for (const nlohmann::json& each : beside) {
    const JsonFields worker(each, kStatus);
    const std::string why = worker.text("why");
    add_to_list(names, harmless(worker.text("name") + " on " + worker.text("host") +
                                (why.empty() ? "" : " (" + why + ")")));
  }
  return names.empty() ? "" : "not in the ring: " + names + "\n";
}

// Lays out the status of a cluster that has no ring yet.
std::string waiting_text(const JsonFields& fields, const std::string& reach) {
  const bool loads = fields.text("phase") == "loading";
  std::string text = fmt::format(
      "{}: {}, {} for {}: {}\n", harmless(fields.text("name")), harmless(fields.text("model")),
      loads ? "loading, after it waited for machines to join" : "waiting for machines to join",
      time_text(fields.number("up_seconds")), harmless(fields.text("waiting")));
  for (const nlohmann::json& each : fields.at("guests")) {
    const JsonFields guest(each, kStatus);
    text += fmt::format("  {:<20} {:<8} {:<24} {:<20} {}\n", harmless(guest.text("name")),
                        harmless(guest.text("device")),
                        bytes_text(static_cast<uint64_t>(guest.number("free_bytes"))),
                        harmless(guest.text("host")), harmless(guest.text("endpoint")));
  }
  if (loads) return text;
  return text + fmt::format("let them join: potluck token create{}, and there potluck join TOKEN\n",
                            reach);
}

}  // namespace

std::string status_text(const nlohmann::json& status, const std::string& reach) {
  const JsonFields fields(status, kStatus);
  if (fields.has("waiting")) return waiting_text(fields, reach);
  const JsonFields requests = fields.object("requests");
  std::string text =
      fmt::format("{}: {}, up for {}, {} tokens of context, {}\n", harmless(fields.text("name")),
                  harmless(fields.text("model")), time_text(fields.number("up_seconds")),
                  fields.integer("context"), count_text(fields.integer("sessions"), "session"));
  text += fmt::format("  {:<20} {:<8} {:>7} {:>8}  {:<24} {}\n", "worker", "device", "layers", "ms",
                      "memory", "host");
  for (const nlohmann::json& worker : fields.at("workers")) text += worker_row({worker, kStatus});
  for (const nlohmann::json& host : fields.at("drained")) {
    const std::string name = harmless(host.get<std::string>());
    text += fmt::format("drained: {}; take it back: potluck drain {} --end{}\n", name,
                        shell_word(name), reach);
  }
  text += beside_text(fields.at("beside"));
  text += links_text(fields.at("links"));
  text += step_line(fields.object("step"));
  text += fmt::format("requests: {} being answered, {} waiting, {} answered\n",
                      requests.integer("running"), requests.integer("waiting"),
                      requests.integer("answered"));
  return text;
}

}  // namespace potluck
