// Writes a machine's report, a line for each thing that it has.
#include "cluster/planning/host_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/planning/speed_json.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

std::string cpu_line(const ordered_json& cpu) {
  std::string line =
      fmt::format("{}; {}, {}", std::string(cpu.at("name")),
                  count_text(cpu.at("packages"), "package"), count_text(cpu.at("cores"), "core"));
  if (cpu.at("memory_nodes") > 1)
    line += fmt::format(", {} memory nodes", int{cpu.at("memory_nodes")});
  const uint64_t cache = cpu.at("cache_bytes");
  return cache ? line + ", caches of " + bytes_text(cache) : line;
}

std::string free_text(const ordered_json& space) {
  return bytes_text(space.at("bytes_free")) + " of " + bytes_text(space.at("bytes_total")) +
         " free";
}

std::string disk_line(const ordered_json& disk) {
  const std::string what =
      disk.contains("problem") ? std::string(disk["problem"]) : free_text(disk);
  return "disk       " + what + " in " + std::string(disk.at("folder"));
}

std::string interface_line(const ordered_json& each) {
  std::string line = fmt::format(
      "network    {} ({}) {}", std::string(each.at("name")), std::string(each.at("kind")),
      fmt::join(each.at("addresses").get<std::vector<std::string>>(), " "));
  const int rate = each.at("mbit_per_s");
  if (rate) line += fmt::format(", {} Mbit/s", rate);
  return line + fmt::format(", MTU {}", int{each.at("mtu")});
}

std::string carried_text(const std::string& model, const ordered_json& carried) {
  const int layers = carried.at("layers"), beside = carried.at("beside_head"),
            of = carried.at("of");
  if (layers == 0) return "no layer of " + model;
  if (beside == of) return fmt::format("all of {} ({} layers and the head)", model, of);
  const std::string text = fmt::format("{} of {} layers of {}", layers, of, model);
  return beside < 0 ? text + ", not the head" : text + fmt::format(", or the head and {}", beside);
}

// How long a step would take on a device that carries all of the model.
std::string step_text(const ordered_json& device, const ordered_json& model) {
  if (!device.contains("speed") || device.contains("left_out")) return "";
  for (const auto& [name, carried] : device.at("carries").items()) {
    if (carried.at("beside_head") != carried.at("of")) return "";
    const DeviceSpeed speed = speed_of(device["speed"]);
    const double ms = int{model.at("sliding_layers")} * speed.sliding_layer_ms +
                      int{model.at("full_layers")} * speed.full_layer_ms + speed.head_ms;
    return fmt::format("; all of the model: {:.1f} ms a step", ms);
  }
  return "";
}

void append_device(const ordered_json& device, const ordered_json& model,
                   std::vector<std::string>& lines) {
  const std::string name = device.at("device");
  if (device.contains("problem")) return;  // which is a finding
  std::string carries;
  if (device.contains("carries"))
    for (const auto& [name_of, carried] : device["carries"].items())
      carries += (carries.empty() ? "" : "; ") + carried_text(name_of, carried);
  lines.push_back(fmt::format("{:<10} may take {}{}", name, bytes_text(device.at("bytes")),
                              carries.empty() ? "" : ", which holds " + carries));
  if (!device.contains("speed")) return;
  const DeviceSpeed speed = speed_of(device["speed"]);
  std::string line = fmt::format(
      "{:<10} a sliding layer {:.2f} ms, a full layer {:.2f} ms, the "
      "head {:.2f} ms, a message {:.2f} ms",
      "", speed.sliding_layer_ms, speed.full_layer_ms, speed.head_ms, speed.message_ms);
  line += step_text(device, model);
  if (device.contains("measured_on"))
    line += ", measured on " + std::string(device["measured_on"]) + " (--fresh measures again)";
  if (device.contains("left_out")) line += "; left out: " + std::string(device["left_out"]);
  lines.push_back(line);
}

std::string model_line(const ordered_json& model) {
  const std::string name = model.at("name");
  if (!model.at("there")) return "model      " + name + ", which is not here";
  const std::string called =
      name.empty() ? "made-up weights of the released one's shapes and types (Q4_K_M)" : name;
  return "model      " + called + ", " + bytes_text(model.at("bytes")) + ", contents " +
         std::string(model.at("contents"));
}

}  // namespace

std::vector<std::string> host_device_lines(const ordered_json& report) {
  std::vector<std::string> lines = {model_line(report.at("model"))};
  for (const ordered_json& each : report.at("devices"))
    append_device(each, report.at("model"), lines);
  return lines;
}

std::vector<std::string> host_lines(const ordered_json& report) {
  std::vector<std::string> lines = {
      fmt::format("{}: {}, {}", std::string(report.at("host")), std::string(report.at("software")),
                  std::string(report.at("system"))),
      cpu_line(report.at("cpu")),
      "memory     " + free_text(report.at("memory")),
      disk_line(report.at("disk")),
  };
  for (const ordered_json& each : report.at("interfaces")) lines.push_back(interface_line(each));
  lines.push_back("key        " + std::string(report.at("key")));
  for (const std::string& line : host_device_lines(report)) lines.push_back(line);
  std::transform(lines.begin(), lines.end(), lines.begin(),
                 [](const std::string& line) { return one_line(line); });
  std::transform(lines.begin() + 1, lines.end(), lines.begin() + 1,
                 [](const std::string& line) { return "  " + line; });
  return lines;
}

}  // namespace potluck
