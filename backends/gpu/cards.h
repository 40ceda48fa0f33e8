// Which cards this machine has, and why one cannot be used.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "backends/gpu/card_driver.h"
#include "backends/gpu/cuda_driver.h"
#include "backends/gpu/gpu_driver.h"
#include "backends/gpu/hip_driver.h"
#include "backends/gpu/open_card.h"

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

// As list_cards() and open_card() (open_card.h), with the places that are given.
std::vector<Card> find_cards(const CardPlaces& places = {});
std::unique_ptr<GpuDriver> open_card_of(const CardPlaces& places, const std::string& device);

}  // namespace potluck
