// potluck devices: prints what this machine can compute on, and why a card cannot be used.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/json_line.h"
#include "cluster/ring/devices.h"

namespace potluck {
namespace {

int run_devices(bool json) {
  const Devices devices = find_devices();
  if (json) {
    std::puts(json_line(devices_json(devices)).c_str());
    return 0;
  }
  for (const std::string& line : device_lines(devices)) std::puts(line.c_str());
  return 0;
}

}  // namespace

void add_devices(CommandLine& line) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* sub = line.app.add_subcommand(
      "devices", "say what this machine can compute on, and why a card cannot be used");
  sub->add_flag("--json", *json, "print one JSON object");
  sub->callback([&line, json] { line.chosen = [json] { return run_devices(*json); }; });
}

}  // namespace potluck
