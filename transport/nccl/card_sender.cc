// The sender of payloads keeps each until the peer has said that it has it.
#include "transport/nccl/card_sender.h"

#include <utility>

#include "topology/base/check.h"

namespace potluck {

CardSender::CardSender(CardEnds& ends, PeerId peer, std::string name)
    : ends_(ends),
      peer_(peer),
      name_(std::move(name)),
      id_(ends.library()->new_id()),
      offered_at_(now()) {
  CardLink offer;
  offer.card = ends_.card();
  ends_.tell(peer_, std::move(offer), copy_payload(id_.bytes, sizeof(id_.bytes)));
}

void CardSender::accepted() {
  if (!communicator_ && !given_up_) communicator_ = ends_.communicator(id_, NcclRank::sender);
}

void CardSender::taken(uint64_t number) {
  while (!unanswered_.empty() && unanswered_.front().number <= number) unanswered_.pop_front();
}

void CardSender::send(Message message) {
  CHECK(is_ready() && message.payload.owner, peer_);
  const Payload payload = std::exchange(message.payload, {});
  message.card_link.emplace();
  message.card_link->step = CardLink::Step::payload;
  message.card_link->number = next_number_;
  message.card_link->payload_bytes = payload.bytes;
  ends_.send(std::move(message));
  unanswered_.push_back({next_number_++, payload});
  // NCCL's thread reads what the owner keeps alive.
  communicator_->carry({payload.owner, const_cast<std::byte*>(payload.data)}, payload.bytes);
}

void CardSender::look() {
  if (given_up_) return;
  const bool late = now() >= offered_at_ + from_seconds(ends_.make_seconds());
  if (!communicator_ && late) return give_up("no answer to the offer");
  if (!communicator_) return;
  if (const std::string failure = communicator_->failure(); !failure.empty())
    return give_up(failure);
  if (is_ready() && !std::exchange(said_ready_, true))
    ends_.log("payloads to " + name_ + " go by " + ends_.library()->version() + " from now on");
}

void CardSender::give_up(const std::string& reason) {
  if (given_up_) return;
  ends_.log("NCCL to " + name_ + " is given up (" + reason +
            "); the transport below carries its payloads from now on");
  CardLink words;
  words.step = CardLink::Step::withdrawn;
  words.reason = reason;
  ends_.tell(peer_, std::move(words));
  flush();
}

// Once the communicator has ended, nothing reads the payloads that are under way.
void CardSender::flush() {
  given_up_ = true;
  communicator_.reset();
  for (const Sent& sent : std::exchange(unanswered_, {})) {
    CardLink words;
    words.step = CardLink::Step::again;
    words.number = sent.number;
    ends_.tell(peer_, std::move(words), ends_.on_host(sent.payload));
  }
}

}  // namespace potluck
