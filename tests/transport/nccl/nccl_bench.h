// Transports by NCCL whose library is the stand-in and whose cards are emulated.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/emulator/emulated_driver.h"
#include "tests/transport/nccl/stand_in.h"
#include "transport/nccl/card_memory.h"
#include "transport/nccl/nccl.h"

namespace potluck {

// The stand-in's own books, which are all a process has.
StandInBooks& stand_in_books();
// Sets them to what they are at first.
void reset_stand_in();

// Where nccl_names() looks for the libraries, by vendor: the stand-in, unless a test says
// otherwise.
std::map<std::string, std::vector<std::string>>& nccl_places();

// A card that no other party of this process has.
struct EmulatedCard {
  explicit EmulatedCard(emulator::Vendor of = emulator::Vendor::cuda);
  std::shared_ptr<CardPort> port() const;

  emulator::Vendor vendor;
  std::shared_ptr<EmulatedDriver::Books> books;
};

// Lines that transports log, from any thread.
class LogLines final {
 public:
  void add(const std::string& line);
  std::vector<std::string> with(const std::string& part) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// A payload with these bytes on an emulated card; any of them, since their memory is the host's.
Payload on_card(const std::vector<std::byte>& bytes);

// Wishes for a link in both directions, and waits until both are made.
void link_cards(Transport& a, PeerId a_is, Transport& b, PeerId b_is, const LogLines& log);

}  // namespace potluck
