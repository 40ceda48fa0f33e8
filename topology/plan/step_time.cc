// Adds up measured parts of a step.
#include "topology/plan/step_time.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

double sum(const std::vector<double>& parts) {
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

}  // namespace

std::optional<int> typical_layer(const ModelSource& source, bool full) {
  const std::vector<uint64_t> bytes = layer_bytes(source);
  std::vector<int> kind;
  for (int i = 0; i < source.spec().layer_count(); ++i)
    if (source.spec().layers[i].full == full) kind.push_back(i);
  if (kind.empty()) return std::nullopt;
  std::stable_sort(kind.begin(), kind.end(), [&](int a, int b) { return bytes[a] < bytes[b]; });
  const int middle = kind[(kind.size() - 1) / 2];
  return *std::find_if(kind.begin(), kind.end(), [&](int i) { return bytes[i] == bytes[middle]; });
}

std::vector<double> layer_ms(const ModelSource& source, const LayerSpeed& speed) {
  const std::vector<uint64_t> bytes = layer_bytes(source);
  const std::optional<int> sliding = typical_layer(source, false);
  const std::optional<int> full = typical_layer(source, true);
  std::vector<double> ms;
  for (int i = 0; i < source.spec().layer_count(); ++i) {
    const bool is_full = source.spec().layers[i].full;
    const double typical = bytes[is_full ? *full : *sliding];
    ms.push_back((is_full ? speed.full_ms : speed.sliding_ms) * bytes[i] / typical);
  }
  return ms;
}

double wire_ms(const LinkSpeed& link, uint64_t payload_bytes) {
  constexpr double kBitsPerMsOfMbit = 1000;
  return 8.0 * (payload_bytes + kHeaderBytes) / (link.mbit_per_s * kBitsPerMsOfMbit);
}

double arrival_ms(const LinkSpeed& link, uint64_t payload_bytes) {
  return link.latency_ms + wire_ms(link, payload_bytes);
}

uint64_t denoise_bytes(const ModelSpec& spec) {
  return sizeof(int32_t) * spec.canvas;
}

uint64_t candidates_bytes(const ModelSpec& spec) {
  return (2 * sizeof(int32_t) + sizeof(float)) * spec.canvas;
}

double stage_part_ms(double layers_ms, double message_ms) {
  return layers_ms + message_ms;
}

double head_part_ms(double head_ms, double message_ms) {
  return head_ms + 2 * message_ms;
}

double RingTimes::compute_ms() const {
  return head_ms + sum(stage_ms);
}

double RingTimes::wire_ms() const {
  return coordinator_ms + sum(hop_ms);
}

double step_ms(const RingTimes& ring) {
  return ring.compute_ms() + ring.wire_ms();
}

double period_ms(std::span<const Use> uses) {
  std::map<int, double> busy;
  double most = 0;
  for (const Use& use : uses) most = std::max(most, busy[use.resource] += use.ms);
  return most;
}

int canvases_to_fill(double step_ms, double period_ms) {
  return std::max(1, static_cast<int>(std::ceil(step_ms / period_ms - 1e-9)));
}

double encode_ms(const RingTimes& ring, int chunks) {
  if (chunks == 0) return 0;
  const double slowest = *std::max_element(ring.stage_ms.begin(), ring.stage_ms.end());
  return ring.wire_ms() + sum(ring.stage_ms) + (chunks - 1) * slowest;
}

double tokens_per_s(int canvas, int steps, double step_ms) {
  return 1000.0 * canvas / ((steps + 1) * step_ms);
}

}  // namespace potluck
