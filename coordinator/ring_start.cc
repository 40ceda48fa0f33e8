// Connects, loads and joins the workers of a plan, phase after phase.
#include "coordinator/ring_start.h"

#include <algorithm>
#include <utility>

#include "topology/base/check.h"
#include "topology/plan/dialing.h"

namespace potluck {
namespace {

Message order(MessageKind kind, PeerId worker) {
  Message message;
  message.header.kind = kind;
  message.header.destination = worker;
  return message;
}

bool leads_to(const Address& address, const WorkerPlan& worker) {
  return address.endpoint == worker.endpoint && address.key == worker.key;
}

}  // namespace

RingStart::RingStart(Fingerprint model, std::string secret, RingStartEvents events)
    : model_(std::move(model)), secret_(std::move(secret)), events_(std::move(events)) {}

double next_told_seconds(double told) {
  return told == 0 ? kToldSeconds : told + kToldAgainSeconds;
}

void RingStart::set_phase(Phase phase, Time now) {
  phase_ = phase;
  phase_since_ = now;
  told_seconds_ = 0;
}

void RingStart::begin(Time now, const Plan& plan, LoadSeconds limits, Outbox& out) {
  plan_ = plan;
  limits_ = limits;
  members_.clear();
  members_[kHeadPeer] = {};
  for (int i = 0; i < plan_.stage_count(); ++i) members_[stage_peer(i)] = {};
  keep_links(out);
  set_phase(Phase::connecting, now);
  load_all(now, out);
}

// Drops the links that the plan has no use for, and dials the workers that have none.
void RingStart::keep_links(Outbox& out) {
  std::erase_if(links_, [&](const auto& link) {
    const bool wanted = std::any_of(members_.begin(), members_.end(), [&](const auto& member) {
      return leads_to(link.second.address, plan_.worker(member.first));
    });
    if (!wanted) out.drops.push_back(link.first);
    return !wanted;
  });
  for (const auto& [worker, member] : members_) redial(worker, out);
}

void RingStart::lost(PeerId link) {
  links_.erase(link);
  for (auto& [worker, member] : members_)
    if (member.link == link) member.link = kUnassignedPeer;
}

void RingStart::redial(PeerId worker, Outbox& out) {
  members_[worker].link = link_with(plan_.worker(worker), worker, out);
}

PeerId RingStart::dial(const WorkerPlan& other, Outbox& out) {
  return link_with(other, stage_peer(plan_.stage_count()), out);
}

void RingStart::drop(PeerId link, Outbox& out) {
  if (links_.erase(link)) out.drops.push_back(link);
}

// The link that leads there, or a new one, named `wanted` if that name is free.
PeerId RingStart::link_with(const WorkerPlan& worker, PeerId wanted, Outbox& out) {
  const auto kept = std::find_if(links_.begin(), links_.end(), [&](const auto& each) {
    return leads_to(each.second.address, worker);
  });
  if (kept != links_.end()) return kept->first;
  PeerId link = wanted;
  while (links_.count(link) || (link != wanted && members_.count(link))) ++link;
  links_[link] = {{worker.endpoint, worker.key}, false};
  out.connects.push_back({link, links_[link].address});
  return link;
}

void RingStart::handle(Time now, const Event& event, Outbox& out) {
  const std::optional<PeerId> worker = worker_on(event.peer);
  if (!worker) return;
  if (event.kind == Event::Kind::up) return up(now, *worker, event, out);
  if (event.message.header.kind == MessageKind::ready)
    return ready(now, *worker, event.message, out);
  if (event.message.header.kind == MessageKind::joined) joined(*worker);
}

void RingStart::up(Time now, PeerId worker, const Event& event, Outbox& out) {
  if (!event.message.hello)
    throw Fault(FaultKind::refused, "it did not say who it is", plan_.worker(worker).name);
  links_[event.peer].up = true;
  if (phase_ == Phase::connecting) load_all(now, out);
}

void RingStart::found(PeerId link) {
  const auto dialed = links_.find(link);
  if (dialed != links_.end()) dialed->second.up = true;
}

void RingStart::load_all(Time now, Outbox& out) {
  if (!all([](const RingStart& s, PeerId worker) { return s.is_up(worker); })) return;
  set_phase(Phase::loading, now);
  for (const auto& [worker, member] : members_) {
    out.messages.push_back(order(MessageKind::load, worker));
    out.messages.back().load = Load{plan_for(plan_, worker), worker, model_, secret_};
  }
}

void RingStart::ready(Time now, PeerId worker, const Message& message, Outbox& out) {
  if (!message.ready)
    throw Fault(FaultKind::refused, "it did not say what it loaded", plan_.worker(worker).name);
  if (phase_ != Phase::loading || std::exchange(members_[worker].ready, true)) return;
  if (events_.ready) events_.ready(worker, *message.ready);
  if (!all([](const RingStart& s, PeerId each) { return s.members_.at(each).ready; })) return;
  set_phase(Phase::joining, now);
  for (const auto& [each, member] : members_)
    out.messages.push_back(order(MessageKind::join, each));
}

void RingStart::joined(PeerId worker) {
  if (phase_ != Phase::joining) return;
  members_[worker].joined = true;
  if (!all([](const RingStart& s, PeerId each) { return s.members_.at(each).joined; })) return;
  phase_ = Phase::done;
  if (events_.loaded) events_.loaded();
}

bool RingStart::all(bool (*what)(const RingStart&, PeerId)) const {
  return std::all_of(members_.begin(), members_.end(),
                     [&](const auto& member) { return what(*this, member.first); });
}

bool RingStart::is_late(PeerId worker) const {
  const Member& member = members_.at(worker);
  if (phase_ == Phase::connecting) return !is_up(worker);
  return phase_ == Phase::loading ? !member.ready : !member.joined;
}

std::vector<PeerId> RingStart::late() const {
  std::vector<PeerId> late;
  for (const auto& [worker, member] : members_)
    if (is_late(worker)) late.push_back(worker);
  return late;
}

double RingStart::limit_seconds(PeerId worker) const {
  const bool may_fetch = phase_ == Phase::loading && !plan_.worker(worker).local;
  return may_fetch ? std::max(limits_.phase, limits_.fetch) : limits_.phase;
}

std::vector<PeerId> RingStart::overdue(Time now) const {
  std::vector<PeerId> workers = late();
  std::erase_if(
      workers, [&](PeerId worker) { return seconds(now - phase_since_) <= limit_seconds(worker); });
  return workers;
}

std::string RingStart::names_of(const std::vector<PeerId>& workers) const {
  std::string names;
  for (PeerId worker : workers) names += (names.empty() ? "" : ", ") + plan_.worker(worker).name;
  return names;
}

void RingStart::check_deadline(Time now) {
  if (phase_ == Phase::idle || done()) return;
  const double waited = seconds(now - phase_since_);
  if (const std::vector<PeerId> over = overdue(now); !over.empty())
    throw Fault(FaultKind::lost, names_of(over) + " did not get ready within " +
                                     std::to_string(static_cast<int>(limit_seconds(over.front()))) +
                                     " s");
  if (waited < next_told_seconds(told_seconds_) || !events_.waiting) return;
  told_seconds_ = waited;
  const char* what = phase_ == Phase::connecting ? " to answer"
                     : phase_ == Phase::loading  ? " to load its part of the model"
                                                 : " to be joined to the ring";
  events_.waiting(names_of(late()) + what, waited);
}

PeerId RingStart::link_to(PeerId worker) const {
  const auto member = members_.find(worker);
  CHECK(member != members_.end(), worker);
  return member->second.link;
}

std::optional<PeerId> RingStart::worker_on(PeerId link) const {
  for (const auto& [worker, member] : members_)
    if (member.link == link && links_.count(link)) return worker;
  return std::nullopt;
}

bool RingStart::is_up(PeerId worker) const {
  const auto member = members_.find(worker);
  if (member == members_.end()) return false;
  const auto link = links_.find(member->second.link);
  return link != links_.end() && link->second.up;
}

}  // namespace potluck
