// Numbers calls, and sorts what comes back.
#include "transport/control/control_client.h"

#include <utility>

#include "topology/base/text.h"
#include "transport/zmq/zmq.h"

namespace potluck {

using Arrival = ControlLine::Arrival;

ControlClient::ControlClient(const Address& server, std::function<LockKeys()> keys)
    : endpoint_(server.endpoint),
      line_(make_zmq_pipe(std::move(keys)), {}),
      server_(line_.dial(server)) {}

ControlClient::~ControlClient() = default;

uint64_t ControlClient::call(const std::string& verb, nlohmann::json body, std::string bytes) {
  const uint64_t number = ++last_call_;
  line_.send(server_,
             {ControlMessage::Kind::call, number, verb, std::move(body), std::move(bytes)});
  return number;
}

void ControlClient::cancel(uint64_t call) {
  line_.send(server_, {ControlMessage::Kind::cancel, call, "", nlohmann::json::object(), ""});
}

std::optional<ControlMessage> ControlClient::wait(Time deadline) {
  if (arrivals_.empty())
    for (Arrival& arrival : line_.take(deadline)) arrivals_.push_back(std::move(arrival));
  if (arrivals_.empty()) return std::nullopt;
  if (arrivals_.front().kind == Arrival::Kind::gone)  // stays, for whoever asks again
    throw lost(arrivals_.front().why);
  ControlMessage message = std::move(arrivals_.front().message);
  arrivals_.pop_front();
  heard_ = true;
  if (message.kind == ControlMessage::Kind::fault && message.call == 0)
    throw fault_of(message.body);  // of all that was said, and the last
  return message;
}

// A lock that does not open and a server that ends look alike from here.
Fault ControlClient::lost(const std::string& why) const {
  Fix fix;
  if (!heard_ && endpoint_.rfind("tcp://", 0) == 0)
    fix =
        Fix{"see that it runs there, that the key is that machine's, and that it lets this one in"};
  return Fault(FaultKind::lost, "no link to " + endpoint_ + ": " + why, fix);
}

ControlMessage ControlClient::ask(const std::string& verb, nlohmann::json body, double seconds) {
  const uint64_t number = call(verb, std::move(body));
  const Time deadline = now() + from_seconds(seconds);
  while (std::optional<ControlMessage> message = wait(deadline)) {
    if (message->call != number || message->kind == ControlMessage::Kind::event) continue;
    if (message->kind == ControlMessage::Kind::fault) throw fault_of(message->body);
    return *std::move(message);
  }
  throw Fault(FaultKind::lost,
              "no answer from " + endpoint_ + " within " + number_text(seconds) + " s",
              Fix{"it may be busy; try again"});
}

}  // namespace potluck
