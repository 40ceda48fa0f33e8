// Each device has a name, its memory, and where it cannot be used the reason.
#include "cluster/ring/devices.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "backends/make_backend.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

std::string memory_text(uint64_t free, uint64_t total) {
  return bytes_text(free) + " of " + bytes_text(total) + " free";
}

std::string card_line(const Card& card) {
  std::string line = card.device;
  if (const auto& facts = card.facts)
    line += fmt::format(" ({}, {}, {}), {}{}", one_line(facts->name), facts->architecture,
                        facts->driver, memory_text(facts->bytes_free, facts->bytes_total),
                        facts->has_watchdog ? ", drives a display" : "");
  return card.problem.empty() ? line : line + ": " + one_line(card.problem);
}

nlohmann::json card_json(const Card& card) {
  nlohmann::json all = {{"device", card.device}, {"usable", card.problem.empty()}};
  if (!card.problem.empty()) all["problem"] = card.problem;
  if (const auto& facts = card.facts)
    all.update({{"name", facts->name},
                {"architecture", facts->architecture},
                {"driver", facts->driver},
                {"units", facts->units},
                {"lanes", facts->lanes},
                {"bytes_total", facts->bytes_total},
                {"bytes_free", facts->bytes_free},
                {"cache_bytes", facts->cache_bytes},
                {"shared_bytes", facts->shared_bytes},
                {"has_watchdog", facts->has_watchdog}});
  return all;
}

}  // namespace

Devices find_devices() {
  const CpuOptions cpu;
  return {make_backend({"cpu", Precision::fast, cpu})->info(),
          cpu::isa_name(isa_of(cpu, Precision::fast)), list_cards()};
}

std::vector<std::string> device_lines(const Devices& devices) {
  std::vector<std::string> lines = {devices.cpu.name + ", " +
                                    memory_text(devices.cpu.bytes_free, devices.cpu.bytes_total)};
  for (const Card& card : devices.cards) lines.push_back(card_line(card));
  return lines;
}

nlohmann::json devices_json(const Devices& devices) {
  nlohmann::json all = {{{"device", "cpu"},
                         {"usable", true},
                         {"name", devices.cpu.name},
                         {"instructions", devices.instructions},
                         {"units", devices.cpu.units},
                         {"bytes_total", devices.cpu.bytes_total},
                         {"bytes_free", devices.cpu.bytes_free}}};
  for (const Card& card : devices.cards) all.push_back(card_json(card));
  return {{"devices", all}};
}

}  // namespace potluck
