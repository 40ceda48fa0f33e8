// Hardware that nobody has measured, because it is not there yet: a card's name stands for its
// memory and the speed that is expected of it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "topology/cluster/cluster_spec.h"
#include "topology/model/model_source.h"

namespace potluck {

struct KnownCard {
  std::string_view name;    // "3090", "7900 XTX"
  std::string_view vendor;  // as a device has it: cuda, hip, cpu
  int memory_gb = 0;        // as its box says; 0: any
  // ms of one canvas in a layer of the released model at Q4_K_M and at Q8_0, and in the head.
  double layer_ms[2];
  double head_ms[2];
};

std::span<const KnownCard> known_cards();

// By its name in any case, with or without spaces and a maker's prefix ("RTX 3090", "rtx3090");
// nullptr: it is not known.
const KnownCard* find_card(const std::string& name);
std::string card_suggestion(const std::string& name);

// The speed that is expected of the card with this model; its source is `assumed`.
DeviceSpeed assumed_speed(const KnownCard& card, const ModelSource& source);

// Gives devices that name a card the figures that nobody has stated or measured.
void assume_cards(ClusterSpec& cluster, const ModelSource& source);

}  // namespace potluck
