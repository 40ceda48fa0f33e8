// CardSender: our payloads to one peer, from card to card. It offers the peer a communicator, and
// once both have made it sends the header of a message by the transport below and its payload by
// NCCL. What the peer has not said to have taken it keeps, and sends by the transport below when
// NCCL is given up: after a fault on either side, or at the end of the link.
//
// One thread at a time. Nothing here waits.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "topology/base/clock.h"
#include "transport/nccl/card_ends.h"
#include "transport/nccl/communicator.h"
#include "transport/transport.h"

namespace potluck {

class CardSender final {
 public:
  // ends outlives it. Offers; throws Fault{world} where there is no NCCL.
  CardSender(CardEnds& ends, PeerId peer, std::string name);

  // The peer's answers.
  void accepted();
  void taken(uint64_t number);
  void stopped(const std::string& reason) { give_up(reason); }

  bool is_ready() const { return communicator_ && communicator_->is_made(); }
  // message: its payload lies on the card and has an owner. Only when it is ready.
  void send(Message message);
  // To be called after each change of the communicator, and now and then.
  void look();
  // Sends what is not known to have been taken by the transport below.
  void flush();

 private:
  struct Sent {
    uint64_t number;
    Payload payload;
  };

  void give_up(const std::string& reason);

  CardEnds& ends_;
  const PeerId peer_;
  const std::string name_;
  const NcclId id_;
  const Time offered_at_;
  std::unique_ptr<Communicator> communicator_;
  bool given_up_ = false, said_ready_ = false;
  uint64_t next_number_ = 0;
  std::deque<Sent> unanswered_;
};

}  // namespace potluck
