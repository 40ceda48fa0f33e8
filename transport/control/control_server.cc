// Finds the handler of each call, and tells calls whose clients are gone.
#include "transport/control/control_server.h"

#include <algorithm>

#include "topology/base/version.h"
#include "transport/zmq/zmq.h"

namespace potluck {

// ControlCall

ControlCall::ControlCall(std::shared_ptr<ControlLine> line, ConnectionId from, std::string key,
                         ControlMessage message)
    : line_(std::move(line)), from_(from), key_(std::move(key)), message_(std::move(message)) {}

ControlCall::~ControlCall() {
  if (!answered_ && !canceled_)
    fail(Fault(FaultKind::world, "whoever was asked ended before there was an answer",
               Fix{"see that it runs, and ask again"}));
}

// An answer that is over a limit fails this call alone: the other calls are not its business.
void ControlCall::say(ControlMessage::Kind kind, nlohmann::json body, std::string bytes) {
  if (answered_ || canceled_) return;
  answered_ = kind != ControlMessage::Kind::event;
  try {
    line_->send(from_, {kind, message_.call, "", std::move(body), std::move(bytes)});
  } catch (const Fault& fault) {
    answered_ = true;
    const Fault too_large(FaultKind::world, "the answer is too large: " + fault.text());
    line_->send(from_, {ControlMessage::Kind::fault, message_.call, "", fault_json(too_large), {}});
  }
}

void ControlCall::event(nlohmann::json body, std::string bytes) {
  say(ControlMessage::Kind::event, std::move(body), std::move(bytes));
}

void ControlCall::reply(nlohmann::json body, std::string bytes) {
  say(ControlMessage::Kind::reply, std::move(body), std::move(bytes));
}

void ControlCall::fail(const Fault& fault) {
  say(ControlMessage::Kind::fault, fault_json(fault), {});
}

void ControlCall::cancel() {
  if (answered_ || std::exchange(canceled_, true)) return;
  if (then_) then_();
}

// ControlServer

ControlServer::ControlServer(ControlServerOptions options)
    : options_(std::move(options)),
      line_(std::make_shared<ControlLine>(make_zmq_pipe(options_.keys), options_.on_arrival)) {}

ControlServer::~ControlServer() = default;

void ControlServer::on(const std::string& verb, ControlCallers callers, Handler handler) {
  verbs_[verb] = {callers, std::move(handler)};
  guard();
}

void ControlServer::allow(std::set<std::string> keys) {
  allowed_ = std::move(keys);
  guard();
}

std::string ControlServer::listen(const std::string& endpoint) {
  if (endpoint.rfind("tcp://", 0) == 0 && options_.keys) {
    allowed_.insert(options_.keys().public_key);
    guard();
  }
  return line_->listen(endpoint);
}

void ControlServer::guard() {
  Identity identity;
  std::vector<std::string> keys(allowed_.begin(), allowed_.end());
  if (std::any_of(verbs_.begin(), verbs_.end(),
                  [](const auto& each) { return each.second.callers == ControlCallers::anyone; }))
    keys.push_back(kAnyKey);
  identity.keys[kCoordinatorPeer] = std::move(keys);
  identity.unread_bytes_max = 2 * (kControlBytesMax + kControlTextMax);
  line_->guard(std::move(identity));
}

bool ControlServer::is_known(const std::string& key) const {
  return key.empty() || allowed_.count(key) > 0;
}

void ControlServer::serve(Time deadline) {
  for (ControlLine::Arrival& arrival : line_->take(deadline)) take(std::move(arrival));
}

void ControlServer::take(ControlLine::Arrival arrival) {
  if (arrival.kind == ControlLine::Arrival::Kind::called) {
    clients_[arrival.from] = {arrival.caller.key, {}};
    return;
  }
  const auto found = clients_.find(arrival.from);
  if (found == clients_.end()) return;
  if (arrival.kind == ControlLine::Arrival::Kind::gone) {
    Client client = std::move(found->second);
    clients_.erase(found);
    while (!client.calls.empty()) cancel(client, client.calls.begin()->first);
    if (gone_) gone_(arrival.from);
    return;
  }
  if (arrival.message.kind == ControlMessage::Kind::cancel)
    cancel(found->second, arrival.message.call);
  else if (arrival.message.kind == ControlMessage::Kind::call)
    call(arrival.from, found->second, std::move(arrival.message));
}

void ControlServer::cancel(Client& client, uint64_t number) {
  const auto found = client.calls.find(number);
  if (found == client.calls.end()) return;
  const std::shared_ptr<ControlCall> call = found->second.lock();
  client.calls.erase(found);
  if (call) call->cancel();
}

void ControlServer::call(ConnectionId from, Client& client, ControlMessage message) {
  std::erase_if(client.calls, [](const auto& each) { return each.second.expired(); });
  const std::string name = message.verb;
  const uint64_t number = message.call;
  const auto call = std::make_shared<ControlCall>(line_, from, client.key, std::move(message));
  const auto verb = verbs_.find(name);
  try {
    if (verb == verbs_.end())
      throw Fault(FaultKind::refused,
                  std::string(kSoftware) + " there does not know what was asked of it",
                  Fix{"install the same version of potluck on both machines"});
    if (verb->second.callers == ControlCallers::known && !is_known(client.key))
      throw Fault(FaultKind::refused, "the key " + client.key + " may not ask for this",
                  Fix{"on that machine, let it in first"});
    if (client.calls.size() >= kControlCallsMax || client.calls.count(number))
      throw Fault(FaultKind::refused, "too much is asked at once; wait for an answer");
    client.calls[number] = call;
    verb->second.handler(call);
  } catch (const Fault& fault) {
    call->fail(fault);
  }
}

}  // namespace potluck
