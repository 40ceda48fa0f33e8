// Draws small clusters, and families of large ones, from a seed.
#include "random_problem.h"

#include <algorithm>
#include <random>

namespace potluck {
namespace {

class Draw {
 public:
  explicit Draw(uint64_t seed) : generator_(seed) {}
  int below(int n) { return generator_() % n; }
  double between(double least, double most) {
    return least + (most - least) * (generator_() >> 11) * 0x1p-53;
  }
  bool chance(double p) { return between(0, 1) < p; }

 private:
  std::mt19937_64 generator_;
};

HostHop hop_of(double latency_ms, double wire_ms) {
  return {latency_ms + wire_ms, wire_ms, latency_ms + wire_ms, false};
}

PlanDevice small_device(Draw& draw, const std::vector<uint64_t>& layer_bytes, double slowness) {
  PlanDevice device;
  const double speed = slowness * draw.between(1, 8);
  for (const uint64_t bytes : layer_bytes)
    device.layer_ms.push_back(speed * bytes / 100 * draw.between(0.9, 1.1));
  device.message_ms = draw.chance(0.5) ? draw.between(0, 2) : 0;
  device.head_ms = speed * draw.between(2, 6);
  device.layer_bytes = layer_bytes;
  device.stage_bytes = draw.below(60);
  device.head_bytes = 100 + draw.below(200);
  device.memory_bytes = 150 + draw.below(120 * layer_bytes.size());
  device.may_be_head = draw.chance(0.8);
  device.may_hold_layers = draw.chance(0.9);
  return device;
}

}  // namespace

PlanProblem random_small_problem(uint64_t seed) {
  Draw draw(seed);
  PlanProblem problem;
  std::vector<uint64_t> layer_bytes(2 + draw.below(8));
  for (uint64_t& bytes : layer_bytes) bytes = 60 + draw.below(90);
  const int devices = 1 + draw.below(6);
  const double slowness = draw.chance(0.3) ? 0.1 : 1;  // links are what counts, or not
  const double twins = draw.chance(0.3) ? 0.9 : 0.3;
  while (static_cast<int>(problem.devices.size()) < devices) {
    const int host = problem.hosts.size();
    problem.hosts.push_back("host" + std::to_string(host));
    for (int i = draw.below(3); i >= 0; --i) {
      const bool twin = !problem.devices.empty() && draw.chance(twins);
      problem.devices.push_back(twin ? problem.devices.back()
                                     : small_device(draw, layer_bytes, slowness));
      problem.devices.back().host = host;
      problem.devices.back().name = "d" + std::to_string(problem.devices.size());
    }
  }
  problem.devices.resize(devices);
  const int hosts = problem.hosts.size();
  const double latency = draw.between(0, 10), wire = draw.between(0, 20);
  const bool even = draw.chance(0.3), near = draw.chance(0.5);
  const bool both_ways = draw.chance(0.4);
  for (int from = 0; from < hosts; ++from) {
    problem.coordinator_ms.push_back(near ? 1 : draw.between(0, 20));
    problem.hops.emplace_back();
    for (int to = 0; to < hosts; ++to) {
      HostHop hop =
          hop_of(even ? latency : draw.between(0, 10), even ? wire : draw.between(0.1, 20));
      if (both_ways && to < from) hop = problem.hops[to][from];
      problem.hops.back().push_back(from == to ? hop_of(0, 0.5) : hop);
    }
  }
  if (draw.chance(0.4)) problem.head = draw.below(devices);
  if (problem.head >= 0) problem.devices[problem.head].may_be_head = true;
  return problem;
}

PlanProblem family_problem(const Family& family) {
  constexpr int kLayers = 30;
  constexpr double kHopMb = 1.4418;
  constexpr uint64_t kMb = 1'000'000;
  Draw draw(family.seed);
  PlanProblem problem;
  struct Line {
    double ms, mb_per_s;
  };
  std::vector<Line> lines;
  for (int host = 0; host < family.hosts;) {
    const int on_host = draw.chance(0.25) ? 2 : 1;
    const double mb[] = {119, 119, 119, 298, 1190};
    lines.push_back(family.wan ? Line{draw.between(5, 60) / 2, draw.between(2, 40)}
                               : Line{0.1, mb[draw.below(5)]});
    for (int i = 0; i < on_host && host < family.hosts; ++i, ++host) {
      PlanDevice device;
      const double layer = draw.between(0.4, 4);
      for (int l = 0; l < kLayers; ++l) {
        const bool full = l % 6 == 5;
        device.layer_ms.push_back(full ? 1.15 * layer : layer * (l % 3 ? 0.95 : 1.1));
        device.layer_bytes.push_back(full ? 597 * kMb : (l % 3 ? 492 : 590) * kMb);
      }
      device.message_ms = 0.1;
      device.head_ms = 14 * layer;
      device.head_bytes = 700 * kMb;
      device.stage_bytes = 100 * kMb;
      const double layers = std::max(1.2, family.room * draw.between(4, 26));
      device.memory_bytes = static_cast<uint64_t>((layers * 540 + 100) * kMb);
      device.host = lines.size() - 1;
      device.name = "d" + std::to_string(host);
      problem.devices.push_back(device);
    }
    problem.hosts.push_back("host" + std::to_string(problem.hosts.size()));
  }
  const int hosts = problem.hosts.size();
  for (int from = 0; from < hosts; ++from) {
    problem.coordinator_ms.push_back(from == 0 ? 0.1 : 2 * (lines[from].ms + lines[0].ms));
    problem.hops.emplace_back();
    for (int to = 0; to < hosts; ++to) {
      const double mb_per_s = std::min(lines[from].mb_per_s, lines[to].mb_per_s);
      problem.hops.back().push_back(
          from == to ? hop_of(0.05, 2.4)
                     : hop_of(lines[from].ms + lines[to].ms, 1000 * kHopMb / mb_per_s));
    }
  }
  return problem;
}

}  // namespace potluck
