// MemoryPartitioner: fills a machine's cards with layers, and leaves those that remain to its CPU.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "topology/plan/cost_model.h"
#include "topology/plan/partitioner.h"
#include "topology/plan/plan.h"

namespace potluck {

// A device, and what a plan may take of its memory.
struct DeviceRoom {
  std::string device;       // a plan's: "cuda:0", "cpu"
  uint64_t bytes_free = 0;  // as the device says
  uint64_t headroom = 0;    // of these, that a plan leaves alone

  bool is_card() const { return device != "cpu"; }
  uint64_t bytes() const { return bytes_free - std::min(bytes_free, headroom); }
};

class MemoryPartitioner final : public Partitioner {
 public:
  // Devices in ring order, each once; at least one, and one CPU at most. `frame` says all of a plan
  // but who runs what. card_layers: so many layers go to cards; none: as many as fit.
  MemoryPartitioner(std::vector<DeviceRoom> devices, Plan frame, std::optional<int> card_layers);

  // A stage for each device, of 0 layers where none is left for it. Cards before the CPU are filled
  // one after another from the first layer on, those behind it from the last layer back, and the
  // CPU has what remains. Throws Fault{memory} with the arithmetic if that does not fit.
  std::vector<int> layer_counts(const ModelSource& source) const override;
  // The index of the head's device, where its room is taken before any layer's: the first device,
  // or if the head does not fit there the first card that holds it, or else the CPU. Throws
  // Fault{memory}.
  size_t head_device(const ModelSource& source) const;

 private:
  MemoryNeed head_on(const ModelSource& source, size_t device) const;
  MemoryNeed layers_on(const ModelSource& source, size_t device, LayerRange layers) const;
  size_t cpu() const;  // its index, or the number of devices
  Fault refusal(const ModelSource& source, const std::vector<int>& counts, const std::string& what,
                const Fix& fix) const;

  std::vector<DeviceRoom> devices_;
  Plan frame_;
  std::optional<int> card_layers_;
};

}  // namespace potluck
