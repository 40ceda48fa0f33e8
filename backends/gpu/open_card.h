// The cards of this machine: which there are, and one by the name that a plan gives it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/gpu/gpu_driver.h"

namespace potluck {

// The driver of "cuda:0" or "hip:1", with the code of its card loaded. Throws Fault{input} for a
// name that no driver of this program knows, Fault{world} for a card that cannot be used, and says
// why.
std::unique_ptr<GpuDriver> open_card(const std::string& device);

struct Card {
  std::string device;             // "cuda:0"; "cuda" where no card of the kind can be reached
  std::optional<GpuFacts> facts;  // of one that answers
  std::string problem;            // why it cannot be used, and what would help; empty if it can be
};

// Every card that a driver knows, and for each kind that has none one entry that says why.
std::vector<Card> list_cards();

}  // namespace potluck
