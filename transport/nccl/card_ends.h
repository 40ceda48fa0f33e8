// CardEnds: what the senders and receivers of a transport share: its card, its NCCL, and the
// transport below that carries their words.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/nccl/card_memory.h"
#include "transport/nccl/communicator.h"
#include "transport/nccl/nccl.h"

namespace potluck {

class CardEnds final {
 public:
  CardEnds(Transport& below, NcclOptions options) : below_(below), options_(std::move(options)) {}

  // Opened when they are asked for first. Throw Fault{world}.
  const std::shared_ptr<CardPort>& port();
  const std::shared_ptr<const NcclLibrary>& library();
  const std::shared_ptr<CardMemory>& memory();

  // "cuda card 0000:01:00.0 of machine …"
  std::string card() { return port()->vendor() + " card " + port()->address(); }

  std::unique_ptr<Communicator> communicator(const NcclId& id, NcclRank rank);
  // Tells the peer by the transport below. Throws what its send() throws.
  void tell(PeerId peer, CardLink words, Payload payload = {});
  void send(Message message) { below_.send(std::move(message)); }
  // A copy of a card's payload.
  void log(const std::string& line) const { options_.log(line); }
  Payload on_host(const Payload& payload);
  double make_seconds() const { return options_.make_seconds; }

 private:
  Transport& below_;
  const NcclOptions options_;
  std::shared_ptr<CardPort> port_;
  std::shared_ptr<const NcclLibrary> library_;
  std::shared_ptr<CardMemory> memory_;
};

}  // namespace potluck
