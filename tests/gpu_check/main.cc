// potluck-gpu-check: runs every part on every card that was asked for.
#include <cstdio>
#include <fstream>
#include <iterator>

#include "backends/gpu/cards.h"
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
    {"peaks", check_peaks},   {"fragments", check_fragments}, {"contract", check_contract},
    {"shapes", check_shapes}, {"golden", check_golden},       {"kernels", bench_kernels},
    {"steps", bench_steps},
};

std::vector<std::string> devices_of(const std::string& asked) {
  if (asked != "all") return {asked};
  std::vector<std::string> devices;
  for (const Card& card : find_cards()) {
    if (card.problem.empty())
      devices.push_back(card.device);
    else
      std::printf("%s: %s\n", card.device.c_str(), card.problem.c_str());
  }
  return devices;
}

void run_part(const CheckPart& part, Check& check, Time begin) {
  if (seconds(now() - begin) > check.options.seconds)
    return check.report.fail(part.name, "not run, for the time of --seconds was up");
  const Time part_begin = now();
  try {
    part.run(check);
  } catch (const std::exception& error) {
    check.report.fail(part.name, error.what());
  }
  check.report.add("time", part.name, {{"s", seconds(now() - part_begin)}});
}

bool is_part(const std::string& name) {
  for (const CheckPart& part : kParts)
    if (name == part.name) return true;
  return false;
}

void check_device(const std::string& device, const CheckOptions& options, Report& report,
                  Time begin) {
  Check check{options, report, device, open_card(device), {}};
  for (const CheckPart& part : kParts)
    if (options.only.empty() || options.only == part.name) run_part(part, check, begin);
}

int run(const CheckOptions& options) {
  if (!options.only.empty() && !is_part(options.only))
    throw Fault(FaultKind::input, "there is no part " + options.only, Fix{"see --help"});
  const std::vector<std::string> devices = devices_of(options.device);
  if (devices.empty()) return kNoCard;
  Report report(options.seed);
  const Time begin = now();
  for (const std::string& device : devices) {
    report.begin_device(device);
    check_device(device, options, report, begin);
  }
  if (!options.json.empty()) {
    std::ofstream out(options.json);
    if (!(out << report.json(utc_date())).flush())
      throw Fault(FaultKind::world, "cannot write " + options.json);
  }
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
