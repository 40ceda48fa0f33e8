// CardReceiver: the payloads of one peer to us, from card to card. It answers the peer's offer, and
// receives each payload that a header announces into memory of the card.
//
// One thread at a time. Nothing here waits.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "transport/nccl/card_ends.h"

namespace potluck {

class CardReceiver final {
 public:
  // ends outlives it. Accepts an offer; throws Fault{refused} that says why there can be none.
  CardReceiver(CardEnds& ends, PeerId peer, std::string name, const Message& offer);

  // A header has come whose payload follows by NCCL; numbers rise by 1. Throws Fault{refused} for
  // another number.
  void expect(const CardLink& announced);
  // The sender has sent a payload by the transport below instead.
  void again(uint64_t number, Payload payload);
  void withdrawn(const std::string& reason) { end(reason); }

  // A payload that has come, once; nothing until then.
  std::optional<Payload> take(uint64_t number);
  // To be called after each change of the communicator, and now and then.
  void look();

 private:
  struct Expected {
    std::shared_ptr<std::byte> piece;  // of the card; none: it comes by the transport below
    size_t bytes = 0;
    std::optional<Payload> come;
  };

  void stop(const std::string& reason);
  void end(const std::string& reason);

  CardEnds& ends_;
  const PeerId peer_;
  const std::string name_;
  std::unique_ptr<Communicator> communicator_;  // none: NCCL is given up
  uint64_t next_number_ = 0, come_ = 0;         // announced, and brought by NCCL
  std::map<uint64_t, Expected> expected_;
};

}  // namespace potluck
