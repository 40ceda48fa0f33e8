// Opens the card and its NCCL once a link wants them.
#include "transport/nccl/card_ends.h"

#include <utility>
#include <vector>

namespace potluck {

const std::shared_ptr<CardPort>& CardEnds::port() {
  if (!port_) port_ = options_.open_port();
  return port_;
}

const std::shared_ptr<const NcclLibrary>& CardEnds::library() {
  if (!library_) library_ = open_nccl(port()->vendor());
  return library_;
}

const std::shared_ptr<CardMemory>& CardEnds::memory() {
  if (!memory_) memory_ = std::make_shared<CardMemory>(port());
  return memory_;
}

std::unique_ptr<Communicator> CardEnds::communicator(const NcclId& id, NcclRank rank) {
  return std::make_unique<Communicator>(
      CommunicatorSetup{library(), port(), id, rank, options_.make_seconds,
                        options_.receive_seconds, [this] { below_.wake(); }});
}

void CardEnds::tell(PeerId peer, CardLink words, Payload payload) {
  Message message;
  message.header.kind = MessageKind::card_link;
  message.header.destination = peer;
  message.card_link = std::move(words);
  message.payload = std::move(payload);
  below_.send(std::move(message));
}

Payload CardEnds::on_host(const Payload& payload) {
  std::vector<std::byte> bytes(payload.bytes);
  port()->copy_out(payload.data, bytes.data(), bytes.size());
  return own_payload(std::move(bytes));
}

}  // namespace potluck
