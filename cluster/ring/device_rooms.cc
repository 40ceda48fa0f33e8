// Cards say what they have through their drivers, and the CPU through its Backend.
#include "cluster/ring/device_rooms.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "backends/make_backend.h"

namespace potluck {
namespace {

constexpr char kCpu[] = "cpu";

}  // namespace

DeviceRoom cpu_room() {
  const DeviceOptions one_thread{.device = kCpu, .cpu = {.threads = 1}};
  return {kCpu, make_backend(one_thread)->info().bytes_free, 0};
}

DeviceRoom room_of(const std::string& device, const GpuFacts& facts) {
  return {device, facts.bytes_free, kCardHeadroom + (facts.has_watchdog ? kDisplayHeadroom : 0)};
}

std::vector<DeviceRoom> rooms_of(const std::vector<std::string>& devices) {
  std::vector<DeviceRoom> rooms;
  for (const std::string& device : devices)
    rooms.push_back(device == kCpu ? cpu_room() : room_of(device, open_card(device)->facts()));
  return rooms;
}

FoundRooms find_rooms(std::vector<Card> cards) {
  FoundRooms found;
  std::stable_sort(cards.begin(), cards.end(), [](const Card& a, const Card& b) {
    const auto size = [](const Card& c) { return c.facts ? c.facts->bytes_total : 0; };
    return size(a) > size(b);
  });
  for (const Card& card : cards)
    if (card.problem.empty())
      found.rooms.push_back(room_of(card.device, *card.facts));
    else
      found.why_not.push_back(card.device + ": " + card.problem);
  found.rooms.push_back(cpu_room());
  return found;
}

std::vector<DeviceRoom> auto_rooms(const std::function<void(const std::string& line)>& say) {
  const FoundRooms found = find_rooms(list_cards());
  if (found.rooms.size() == 1)
    say(fmt::format("no card can be used, so the CPU computes: {}",
                    fmt::join(found.why_not, "; ")));
  else
    for (const std::string& line : found.why_not) say(line);
  return found.rooms;
}

}  // namespace potluck
