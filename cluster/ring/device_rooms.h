// Asks the devices of this machine how much of their memory a plan may take. Workers on other
// machines are not asked: a plan file says what they run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backends/gpu/open_card.h"
#include "topology/plan/memory_partitioner.h"

namespace potluck {

// A plan leaves so much alone on a card. A head and a stage there are two workers, each with a
// context of the driver, of 200 to 500 MB; the one that asks for the free bytes sees its own alone.
// The rest is what a driver rounds allocations up to, 2 MiB each.
inline constexpr uint64_t kCardHeadroom = uint64_t{640} << 20;
// More where a display is on the card: windows that open later take their memory there, a browser
// with video some hundred MB, and the screen stalls if they find none.
inline constexpr uint64_t kDisplayHeadroom = uint64_t{1} << 30;

DeviceRoom room_of(const std::string& device, const GpuFacts& facts);
DeviceRoom cpu_room();

// Asks the devices that are named, in their order. Throws Fault for one that cannot be used.
std::vector<DeviceRoom> rooms_of(const std::vector<std::string>& devices);

// Asks every card that can be used, those with the most memory first, and the CPU behind them.
// `why_not` has a line for each that cannot.
struct FoundRooms {
  std::vector<DeviceRoom> rooms;
  std::vector<std::string> why_not;
};
FoundRooms find_rooms(std::vector<Card> cards);

// The device "auto" stands for these: the rooms of this machine's cards and CPU. `say` gets a line
// for each card that cannot be used, or one if none can.
inline constexpr char kAutoDevice[] = "auto";
std::vector<DeviceRoom> auto_rooms(const std::function<void(const std::string& line)>& say);

}  // namespace potluck
