// The receiver of payloads gives each a piece of its card, and says when it has come.
#include "transport/nccl/card_receiver.h"

#include <cstring>
#include <utility>

#include "topology/base/fault.h"

namespace potluck {
namespace {

// "cuda" of "cuda card 0000:01:00.0 of machine …".
std::string vendor_of(const std::string& card) {
  return card.substr(0, card.find(' '));
}

NcclId check_offer(const Message& offer, const std::string& ours) {
  const std::string& theirs = offer.card_link->card;
  if (theirs == ours)
    throw Fault(FaultKind::refused, "NCCL links two cards, and both workers have " + ours);
  if (vendor_of(theirs) != vendor_of(ours))
    throw Fault(FaultKind::refused,
                "NCCL links cards of one vendor, not " + theirs + " and " + ours);
  NcclId id = {};
  if (offer.payload.memory != MemoryKind::host || offer.payload.bytes != sizeof(id.bytes))
    throw Fault(FaultKind::refused, "an offer of NCCL without its unique id");
  std::memcpy(id.bytes, offer.payload.data, sizeof(id.bytes));
  return id;
}

}  // namespace

CardReceiver::CardReceiver(CardEnds& ends, PeerId peer, std::string name, const Message& offer)
    : ends_(ends), peer_(peer), name_(std::move(name)) {
  communicator_ = ends_.communicator(check_offer(offer, ends_.card()), NcclRank::receiver);
  CardLink accept;
  accept.step = CardLink::Step::accept;
  ends_.tell(peer_, std::move(accept));
}

void CardReceiver::expect(const CardLink& announced) {
  if (announced.number != next_number_)
    throw Fault(FaultKind::refused, "payload " + std::to_string(announced.number) +
                                        " by NCCL; number " + std::to_string(next_number_) +
                                        " comes next");
  ++next_number_;
  Expected& expected = expected_[announced.number];
  expected.bytes = announced.payload_bytes;
  if (!communicator_) return;
  try {
    expected.piece = ends_.memory()->take(expected.bytes);
    communicator_->carry(expected.piece, expected.bytes);
  } catch (const Fault& fault) {
    stop(fault.text());
  }
}

void CardReceiver::again(uint64_t number, Payload payload) {
  look();
  communicator_.reset();
  const auto found = expected_.find(number);
  if (found == expected_.end() || found->second.come) return;  // NCCL had brought it
  if (payload.bytes != found->second.bytes)
    throw Fault(FaultKind::refused, "payload " + std::to_string(number) + " has " +
                                        std::to_string(payload.bytes) + " bytes; " +
                                        std::to_string(found->second.bytes) + " were announced");
  found->second.come = std::move(payload);
}

std::optional<Payload> CardReceiver::take(uint64_t number) {
  const auto found = expected_.find(number);
  if (found == expected_.end() || !found->second.come) return std::nullopt;
  std::optional<Payload> payload = std::move(found->second.come);
  expected_.erase(found);
  return payload;
}

void CardReceiver::look() {
  if (!communicator_) return;
  const uint64_t before = come_;
  for (const uint64_t carried = communicator_->carried(); come_ < carried; ++come_) {
    Expected& expected = expected_.at(come_);
    expected.come = card_payload(std::move(expected.piece), expected.bytes);
  }
  if (come_ != before) {
    CardLink words;
    words.step = CardLink::Step::taken;
    words.number = come_ - 1;
    ends_.tell(peer_, std::move(words));
  }
  if (const std::string failure = communicator_->failure(); !failure.empty()) stop(failure);
}

void CardReceiver::stop(const std::string& reason) {
  end(reason);
  CardLink words;
  words.step = CardLink::Step::stopped;
  words.reason = reason;
  ends_.tell(peer_, std::move(words));
}

void CardReceiver::end(const std::string& reason) {
  if (!communicator_) return;
  ends_.log("NCCL from " + name_ + " is given up (" + reason +
            "); the transport below brings its payloads from now on");
  communicator_.reset();
  for (auto& [number, expected] : expected_) expected.piece.reset();
}

}  // namespace potluck
