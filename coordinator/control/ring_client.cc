// Sends requests, and tells of their progress as a ring of this process would.
#include "coordinator/control/ring_client.h"

#include <nlohmann/json.hpp>

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr double kPatienceSeconds = 20;  // for a short answer: a coordinator may be busy loading
constexpr double kGlanceSeconds = 0.05;  // between looks for an interrupt

}  // namespace

RingClient::RingClient(const Address& server, std::function<LockKeys()> keys,
                       std::function<bool()> interrupted)
    : client_(server, std::move(keys)),
      interrupted_(std::move(interrupted)),
      served_(served_of(client_.ask(kModelVerb, Json::object(), kPatienceSeconds).body)) {}

Vocabulary RingClient::vocabulary() {
  std::string bytes;
  while (bytes.size() < served_.vocabulary_bytes) {
    const std::string part =
        client_.ask(kVocabularyVerb, {{"offset", bytes.size()}}, kPatienceSeconds).bytes;
    if (part.empty()) break;
    bytes += part;
  }
  return vocabulary_of(bytes);
}

// A coordinator that ended and a link that broke look alike from here.
std::optional<ControlMessage> RingClient::next(Time deadline) {
  try {
    return client_.wait(deadline);
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::lost) throw;
    throw Fault(FaultKind::lost,
                "the cluster's coordinator has ended, or the link to it broke: " + fault.text(),
                Fix{"potluck status says whether the cluster is up, potluck up starts it again"});
  }
}

RequestResult RingClient::ask(Request request, RequestEvents events) {
  throw_failure();
  const uint64_t call = client_.call(kAskVerb, request_json(request), ids_bytes(request.prompt));
  for (;;) {
    if (interrupted_()) {
      client_.cancel(call);
      throw Fault(FaultKind::canceled, "canceled");
    }
    const auto message = next(now() + from_seconds(kGlanceSeconds));
    if (!message || message->call != call) continue;
    if (message->kind == ControlMessage::Kind::event)
      tell_event(message->body, message->bytes, events);
    if (message->kind == ControlMessage::Kind::fault) throw fault_of(message->body);
    if (message->kind == ControlMessage::Kind::reply)
      return result_of(message->body, message->bytes, served_.plan);
  }
}

bool RingClient::turn(Time deadline) {
  try {
    next(deadline);
  } catch (const Fault& fault) {
    failure_ = fault;
  }
  return !failure_;
}

void RingClient::throw_failure() {
  if (failure_) throw *failure_;
}

void RingClient::close_session(uint64_t session) {
  client_.call(kCloseVerb, {{"session", std::to_string(session)}});
}

}  // namespace potluck
