// Answers guests by the key of their link alone, whatever their words say.
#include "coordinator/membership/guests.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/membership/be_let_in.h"
#include "coordinator/membership/guest_verbs.h"
#include "topology/base/fault.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr double kLookSeconds = 2;
constexpr double kAwaySeconds = 5 * kOfferSeconds;        // then a guest that says nothing has gone
constexpr size_t kNamesMax = 8 * (kGuestWorkersMax + 1);  // of one machine: its devices may change
constexpr char kOffer[] = "an offer";

template <typename Answer>
ControlServer::Handler replying(Answer answer) {
  return [answer = std::move(answer)](const std::shared_ptr<ControlCall>& call) {
    call->reply(answer(*call));
  };
}

// The person at the coordinator's machine says yes; nobody says it for him from elsewhere.
void check_local(const ControlCall& call) {
  if (!call.key().empty())
    throw Fault(FaultKind::refused, "machines are let in at the coordinator's own machine alone");
}

bool same_places(const GuestOffer& a, const GuestOffer& b) {
  return std::equal(a.workers.begin(), a.workers.end(), b.workers.begin(), b.workers.end(),
                    [](const GuestWorker& one, const GuestWorker& other) {
                      return one.endpoint == other.endpoint && one.device.name == other.device.name;
                    });
}

}  // namespace

Guests::Guests(ControlServer& server, Admission admission, GuestHooks hooks)
    : admission_(std::move(admission)), hooks_(std::move(hooks)) {
  const auto anyone = [&server](const char* verb, auto answer) {
    server.on(verb, ControlCallers::anyone, replying(std::move(answer)));
  };
  const auto local = [&server](const char* verb, auto answer) {
    server.on(verb, ControlCallers::known, replying([answer](const ControlCall& call) {
                check_local(call);
                return answer(call);
              }));
  };
  anyone(kHelloVerb, [](const ControlCall&) { return Json{{"potluck", true}}; });
  anyone(kAskToJoinVerb, [this](const ControlCall& call) {
    return admission_.ask(call.key(), call.body(), now());
  });
  anyone(kNumberVerb, [this](const ControlCall& call) {
    return admission_.number(call.key(), call.body(), now());
  });
  anyone(kWaitVerb, [this](const ControlCall& call) { return admission_.wait(call.key(), now()); });
  anyone(kClusterVerb, [this](const ControlCall& call) {
    check_admitted(call.key());
    return Json{{"model", hooks_.model}};
  });
  anyone(kOfferVerb, [this](const ControlCall& call) { return offer(call); });
  anyone(kLeaveVerb, [this](const ControlCall& call) { return leave(call); });
  local(kWaitingVerb, [this](const ControlCall&) { return waiting(); });
  local(kAnswerVerb, [this](const ControlCall& call) { return answer(call); });
}

void Guests::check_admitted(const std::string& key) const {
  if (admission_.is_admitted(key)) return;
  throw Fault(FaultKind::refused, "this cluster does not know this machine, or has shut it out",
              Fix{"ask whoever runs it for a token, and join with that"});
}

// Workers are known by their names, and machines too: a guest cannot take another's, or one of the
// cluster's own.
std::string Guests::free_name(const std::string& name, const std::string& key) {
  const auto is_taken = [&](const std::string& wanted) {
    return !hooks_.part_of(wanted).empty() ||
           std::any_of(names_.begin(), names_.end(), [&](const auto& guest) {
             return std::any_of(guest.second.begin(), guest.second.end(),
                                [&](const auto& given) { return given.second == wanted; });
           });
  };
  std::map<std::string, std::string>& own = names_[key];
  if (const auto given = own.find(name); given != own.end()) return given->second;
  if (own.size() >= kNamesMax)
    throw Fault(FaultKind::refused, "this machine has offered too many names",
                Fix{"let it join by those that it had before"});
  std::string free = name;
  for (int number = 2; is_taken(free); ++number) free = name + "-" + std::to_string(number);
  return own[name] = free;
}

Json Guests::parts(const GuestOffer& offer) const {
  Json parts = Json::object(), why = Json::object();
  for (const GuestWorker& worker : offer.workers) {
    parts[worker.device.name] = hooks_.part_of(worker.device.name);
    why[worker.device.name] = hooks_.why_not(worker.device.name);
  }
  return {{"parts", parts}, {"why", why}};
}

Json Guests::offer(const ControlCall& call) {
  check_admitted(call.key());
  GuestOffer offer = guest_offer_of(call.body(), call.key(), kOffer);
  offer.host = free_name(offer.host, call.key());
  for (GuestWorker& worker : offer.workers)
    worker.device.name = free_name(worker.device.name, call.key());
  const auto known = guests_.find(call.key());
  const bool is_new = known == guests_.end() || !same_places(known->second.offer, offer);
  guests_[call.key()] = {offer, now()};
  if (is_new) hooks_.came(offer);
  return parts(offer);
}

void Guests::let_go(const GuestOffer& offer) {
  for (const GuestWorker& worker : offer.workers) hooks_.forget(worker.device.name);
}

Json Guests::leave(const ControlCall& call) {
  const auto known = guests_.find(call.key());
  if (known == guests_.end()) return parts({});
  let_go(known->second.offer);
  Json left = parts(known->second.offer);
  const bool done = std::all_of(left["parts"].begin(), left["parts"].end(),
                                [](const Json& part) { return part == ""; });
  if (done) guests_.erase(known);
  return left;
}

Json Guests::waiting() {
  Json waiting = Json::array();
  for (const auto& each : admission_.waiting(now()))
    waiting.push_back({{"key", each.key}, {"name", each.name}, {"words", each.words}});
  return {{"waiting", waiting}};
}

Json Guests::answer(const ControlCall& call) {
  const JsonFields fields(call.body(), "an answer");
  admission_.answer(fields.text("key"), fields.at("yes") == true, now());
  return Json::object();
}

std::vector<GuestOffer> Guests::offers(Time now) const {
  std::vector<GuestOffer> offers;
  for (const auto& [key, known] : guests_)
    if (now - known.heard < from_seconds(kAwaySeconds)) offers.push_back(known.offer);
  return offers;
}

std::map<std::string, std::string> Guests::hosts() const {
  std::map<std::string, std::string> hosts;
  for (const auto& [key, known] : guests_)
    for (const GuestWorker& worker : known.offer.workers)
      hosts[worker.device.name] = known.offer.host;
  return hosts;
}

void Guests::tick(Time time) {
  if (time - looked_ < from_seconds(kLookSeconds)) return;
  looked_ = time;
  std::erase_if(guests_, [this](const auto& guest) {
    if (admission_.is_admitted(guest.first)) return false;
    let_go(guest.second.offer);
    names_.erase(guest.first);
    return true;
  });
}

}  // namespace potluck
