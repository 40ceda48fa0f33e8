// Times of a denoise step and of an encode, from measured parts. No formula for a time is anywhere
// else; sizes are in cost_model.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

// The layer of a kind that speeds are measured on: the one whose stored bytes are the median, the
// lower of two, the first of equals. Nothing if the model has no layer of that kind.
std::optional<int> typical_layer(const ModelSource& source, bool full);

struct LayerSpeed {  // ms of one canvas in a device's typical layers
  double sliding_ms = 0;
  double full_ms = 0;
};

// The ms of each layer: its kind's, scaled by its stored bytes over those of the typical one.
std::vector<double> layer_ms(const ModelSource& source, const LayerSpeed& speed);

// One direction of a link.
struct LinkSpeed {
  double latency_ms = 0;  // of a small message
  double mbit_per_s = 0;  // of messages as large as a canvas
};

// Workers of one machine talk by its loopback, locked as every link is: 2.4 ms for a canvas.
inline constexpr LinkSpeed kSameHost{0.05, 4800};

inline constexpr uint64_t kHeaderBytes = 256;  // of a message, frames and lock included

// The ms for which a message keeps the line busy, and those until all of it has arrived.
double wire_ms(const LinkSpeed& link, uint64_t payload_bytes);
double arrival_ms(const LinkSpeed& link, uint64_t payload_bytes);

// Payloads between the coordinator and the head in a step: 4 bytes of each id; an argmax, a sample
// and an entropy of each row.
uint64_t denoise_bytes(const ModelSpec& spec);
uint64_t candidates_bytes(const ModelSpec& spec);

// A worker's share of a step. A stage gets one message, the head two: ids and the last rows.
double stage_part_ms(double layers_ms, double message_ms);
double head_part_ms(double head_ms, double message_ms);

// A ring as times: coordinator → head → stages → head → coordinator.
struct RingTimes {
  double coordinator_ms = 0;     // both ways between the coordinator and the head
  double head_ms = 0;            // the head's part
  std::vector<double> stage_ms;  // the stages' parts
  std::vector<double> hop_ms;    // head → stage 0, …, last stage → head: one more than stages
  double compute_ms() const;
  double wire_ms() const;
};

// A step with one canvas in flight: everything happens after the other.
double step_ms(const RingTimes& ring);

// Something that does one thing at a time (a device, a host's line in or out) is busy for ms of
// each step.
struct Use {
  int resource = 0;
  double ms = 0;
};

// With enough canvases in flight a step ends every so often: the busiest resource's time.
double period_ms(std::span<const Use> uses);
// So many canvases in flight keep the busiest resource busy.
int canvases_to_fill(double step_ms, double period_ms);

// A prompt of so many chunks of at most a canvas's rows: chunk i + 1 runs on stage k while chunk i
// runs on stage k + 1. The head only looks ids up.
double encode_ms(const RingTimes& ring, int chunks);

// canvas / ((steps + 1)·step): each canvas is encoded once, which takes about a step.
double tokens_per_s(int canvas, int steps, double step_ms);

}  // namespace potluck
