// RemoteStages: the stages of a plan at the other end of links, driven by a head in this process.
// verify sends recorded traces through a real ring with it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backends/backend.h"
#include "cluster/ring/hosted_workers.h"
#include "transport/message.h"

namespace potluck {

class RemoteStages final {
 public:
  // Starts the local stages, loads all and opens one session. The head of the plan is this process.
  // Throws the first Fault.
  RemoteStages(std::shared_ptr<const ModelSource> source, Plan plan, const HostSetup& setup);
  ~RemoteStages();

  // Sends the activations of one segment, [rows, H] in `hop`, through the stages and waits. A
  // canvas comes back as its last hidden state, an encode without a payload. Throws Fault.
  Message through(const Segment& segment, DType hop, Payload payload);

 private:
  Identity identity_of(PeerId self) const;
  void load();
  Message message(MessageKind kind, PeerId to) const;
  Message await(MessageKind kind);
  std::optional<Message> take(Transport& transport, MessageKind kind);

  const std::shared_ptr<const ModelSource> source_;
  Plan plan_;
  uint64_t incarnation_;
  std::string secret_;
  HostedWorkers hosts_;
  std::unique_ptr<Transport> coordinator_, head_;
};

}  // namespace potluck
