// The devices of a machine, for people and for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/open_card.h"

namespace potluck {

struct Devices {
  DeviceInfo cpu;
  std::string instructions;  // of the CPU: "avx512"
  std::vector<Card> cards;
};

Devices find_devices();

// A line each: "cuda:0 (NVIDIA GeForce RTX 3060, sm_86, CUDA 12.2), 11.9 GB of 12.9 GB free", or
// "hip: " and why none can be used.
std::vector<std::string> device_lines(const Devices& devices);
nlohmann::json devices_json(const Devices& devices);

}  // namespace potluck
