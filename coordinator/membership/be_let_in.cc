// Asks by token, by key, or by six words that this machine's person has to see on both screens.
#include "coordinator/membership/be_let_in.h"

#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/base/version.h"
#include "topology/model/json_text.h"
#include "transport/control/control_message.h"
#include "transport/proof/hex.h"
#include "transport/proof/ring_proof.h"
#include "transport/proof/six_words.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

std::string answer_bytes(const Json& answer, const char* name) {
  const JsonFields fields(answer, kCoordinatorAnswer);
  const auto bytes = bytes_of_hex(fields.text(name));
  if (!bytes) fields.refuse("\"" + std::string(name) + "\" holds no hexadecimal digits");
  return *bytes;
}

bool lets_in(const Json& answer) {
  return answer.is_object() && answer.value("admitted", Json()) == true;
}

std::string words_of_meeting(const Entry& entry, const Json& answer, const AskCoordinator& ask) {
  const std::string commitment = answer_bytes(answer, "commitment");
  WordMeeting meeting{entry.cluster_key, entry.own_key, "", random_bytes(kWordNonceBytes)};
  meeting.coordinator_nonce =
      answer_bytes(ask(kNumberVerb, {{"number", hex_of(meeting.joiner_nonce)}}), "number");
  if (meeting.coordinator_nonce.size() != kWordNonceBytes || word_commitment(meeting) != commitment)
    throw Fault(FaultKind::refused,
                "the coordinator changed its number: somebody may be in between",
                Fix{"do not go on here; use a token"});
  return six_words(meeting);
}

}  // namespace

void be_let_in(const Entry& entry, const AskCoordinator& ask, const std::function<void()>& pause) {
  Json question = {{"name", entry.name}, {"software", kSoftware}};
  if (entry.secret) question["secret"] = hex_of(*entry.secret);
  if (!entry.knows_cluster) question["words"] = true;
  Json answer = ask(kAskToJoinVerb, question);
  if (entry.knows_cluster && lets_in(answer)) return;
  if (!entry.same_words(words_of_meeting(entry, answer, ask)))
    throw Fault(FaultKind::canceled, "the words were not the same",
                Fix{"another machine may say that it is the cluster: use a token"});
  while (!lets_in(answer = ask(kWaitVerb, Json::object()))) pause();
}

}  // namespace potluck
