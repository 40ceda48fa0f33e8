// Cards, logs and payloads of the tests of transport/nccl.
#include "tests/transport/nccl/nccl_bench.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>

#include "shard/card_port.h"
#include "transport/nccl/nccl_names.h"

namespace potluck {

// In place of the product's.
std::vector<std::string> nccl_names(const std::string& vendor) {
  return nccl_places().at(vendor);
}

std::map<std::string, std::vector<std::string>>& nccl_places() {
  static std::map<std::string, std::vector<std::string>> places = {{"cuda", {NCCL_STAND_IN}},
                                                                   {"hip", {NCCL_STAND_IN}}};
  return places;
}

StandInBooks& stand_in_books() {
  void* library = dlopen(NCCL_STAND_IN, RTLD_NOW | RTLD_NODELETE);
  if (!library) throw std::runtime_error(dlerror());
  return *reinterpret_cast<StandInBooks* (*)()>(dlsym(library, "nccl_stand_in_books"))();
}

void reset_stand_in() {
  nccl_places() = {{"cuda", {NCCL_STAND_IN}}, {"hip", {NCCL_STAND_IN}}};
  StandInBooks& books = stand_in_books();
  books.version = 22105;
  books.failing_send = books.hanging_send = books.breaking_send = books.sends = books.done = 0;
  books.refuses_to_make = false;
  const std::lock_guard lock(books.mutex);
  books.misuses.clear();
}

EmulatedCard::EmulatedCard(emulator::Vendor of)
    : vendor(of), books(std::make_shared<EmulatedDriver::Books>()) {
  static std::atomic<int> count = 0;
  books->address = "slot " + std::to_string(++count);
}

std::shared_ptr<CardPort> EmulatedCard::port() const {
  return make_card_port(std::make_unique<EmulatedDriver>(vendor, books),
                        vendor == emulator::Vendor::cuda ? "cuda" : "hip");
}

void LogLines::add(const std::string& line) {
  const std::lock_guard lock(mutex_);
  lines_.push_back(line);
}

std::vector<std::string> LogLines::with(const std::string& part) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> found;
  for (const std::string& line : lines_)
    if (line.find(part) != std::string::npos) found.push_back(line);
  return found;
}

Payload on_card(const std::vector<std::byte>& bytes) {
  const auto memory = std::make_shared<CardMemory>(EmulatedCard().port());
  const std::shared_ptr<std::byte> piece = memory->take(bytes.size());
  std::memcpy(piece.get(), bytes.data(), bytes.size());
  return card_payload(piece, bytes.size());
}

void link_cards(Transport& a, PeerId a_is, Transport& b, PeerId b_is, const LogLines& log) {
  const size_t before = log.with("from now on").size();
  for (const auto& [from, to] : {std::pair{&a, b_is}, {&b, a_is}}) {
    Message wish;
    wish.header.kind = MessageKind::card_link;
    wish.header.destination = to;
    from->send(std::move(wish));
  }
  const Time deadline = now() + from_seconds(20);
  while (log.with("from now on").size() < before + 2) {
    ASSERT_LT(now(), deadline) << "the cards are not linked";
    for (Transport* each : {&a, &b}) {
      const std::optional<Event> event = each->wait(now() + from_seconds(0.001));
      ASSERT_FALSE(event) << event->reason;
    }
  }
}

}  // namespace potluck
