// Which cards this machine has, and why one cannot be used.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/gpu/card_driver.h"
#include "backends/gpu/cuda_driver.h"
#include "backends/gpu/gpu_driver.h"
#include "backends/gpu/hip_driver.h"

namespace potluck {

// The file of code objects that belongs to this program (code_objects.h).
std::string own_code_objects();

struct CardPlaces {
  std::vector<std::string> cuda = cuda_libraries(), hip = hip_libraries();
  // Files of the kernel's drivers, which the user needs rights to.
  std::string nvidia_file = "/dev/nvidiactl", amd_file = "/dev/kfd";
  std::string code = own_code_objects();
  std::chrono::nanoseconds patience = kCardPatience;  // with a card
};

struct Card {
  std::string device;             // "cuda:0"; "cuda" where no card of the kind can be reached
  std::optional<GpuFacts> facts;  // of one that answers
  std::string problem;            // why it cannot be used, and what would help; empty if it can be
};

// Every card that a driver knows, and for each kind that has none one entry that says why.
std::vector<Card> find_cards(const CardPlaces& places = {});

// As open_card() (open_card.h), with the places that are given.
std::unique_ptr<GpuDriver> open_card_of(const CardPlaces& places, const std::string& device);

}  // namespace potluck
