// potluck-gpu-check: runs every part on every card that was asked for.
#include <cstdio>
#include <iterator>
#include <set>
#include <sstream>

#include "backends/gpu/open_card.h"
#include "tests/gpu_check/check.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr int kFailed = 1, kNoCard = 3;

struct CheckPart {
  const char* name;
  void (*run)(Check&);
};
constexpr CheckPart kParts[] = {
    {"peaks", check_peaks},       {"fragments", check_fragments}, {"weights", check_weights},
    {"contract", check_contract}, {"shapes", check_shapes},       {"golden", check_golden},
    {"nccl", check_nccl},         {"kernels", bench_kernels},     {"steps", bench_steps},
    {"variants", bench_variants},
};

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream words(list);
  for (std::string name; std::getline(words, name, ',');) names.push_back(name);
  return names;
}

std::vector<std::string> devices_of(const std::string& asked) {
  if (asked != "all") return names_in(asked);
  std::vector<std::string> devices;
  for (const Card& card : list_cards()) {
    if (card.problem.empty())
      devices.push_back(card.device);
    else
      std::printf("%s: %s\n", card.device.c_str(), card.problem.c_str());
  }
  return devices;
}

void run_part(const CheckPart& part, Check& check) {
  if (!check.has_time(part.name, "all of it")) return;
  const Time part_begin = now();
  try {
    part.run(check);
  } catch (const std::exception& error) {
    check.report.fail(part.name, error.what());
  }
  check.report.add("time", part.name, {{"s", seconds(now() - part_begin)}});
}

// The parts that were asked for, in their own order.
std::vector<CheckPart> parts_of(const std::string& only) {
  if (only.empty()) return {std::begin(kParts), std::end(kParts)};
  const std::vector<std::string> names = names_in(only);
  std::set<std::string> asked(names.begin(), names.end());
  std::vector<CheckPart> parts;
  for (const CheckPart& part : kParts)
    if (asked.erase(part.name)) parts.push_back(part);
  if (!asked.empty())
    throw Fault(FaultKind::input, "there is no part " + *asked.begin(), Fix{"see --help"});
  return parts;
}

int run(const CheckOptions& options) {
  const std::vector<CheckPart> parts = parts_of(options.only);
  const std::vector<std::string> devices = devices_of(options.device);
  if (devices.empty()) return kNoCard;
  Report report(options.seed, options.json);
  const Time end = now() + from_seconds(options.seconds);
  for (const std::string& device : devices) {
    report.begin_device(device);
    Check check{options, report, device, open_card(device), {}, devices, end};
    for (const CheckPart& part : parts) run_part(part, check);
  }
  report.finish();
  std::puts(report.passed() ? "all is right" : "not all is right");
  return report.passed() ? 0 : kFailed;
}

}  // namespace
}  // namespace potluck

int main(int count, char** words) {
  try {
    const potluck::CheckOptions options = potluck::read_options(count, words);
    if (!options.help) return potluck::run(options);
    std::fputs(potluck::usage(), stdout);
    return 0;
  } catch (const potluck::Fault& fault) {
    std::fprintf(stderr, "potluck-gpu-check: %s\n", fault.what());
    return potluck::exit_code(fault.kind());
  }
}
