// Keeps what is known of workers, and who of them is gone, suspected, missing or about to leave.
#include "coordinator/recovery.h"

#include <algorithm>
#include <utility>

#include "topology/base/check.h"

namespace potluck {
namespace {

constexpr double kDialAgainSeconds = 0.25;  // one who is gone for a moment
constexpr double kMissingSeconds = 5;       // between dials of one who is missing
constexpr double kDoubtedSeconds = 60;      // the same, of one whom its neighbours did not reach

std::vector<WorkerPlan> workers_of(const Plan& plan) {
  std::vector<WorkerPlan> workers = {plan.head};
  workers.insert(workers.end(), plan.stages.begin(), plan.stages.end());
  return workers;
}

// Free memory and times are never quite the same again, which is no other reason.
bool are_same_but_for_numbers(std::string a, std::string b) {
  const auto is_of_number = [](char letter) {
    return (letter >= '0' && letter <= '9') || letter == '.';
  };
  std::erase_if(a, is_of_number);
  std::erase_if(b, is_of_number);
  return a == b;
}

}  // namespace

void Recovery::begins_with(const Plan& plan) {
  home_ = workers_of(plan);
  missing_.clear();
  why_not_.clear();
  leaving_.clear();
  better_.reset();
  fault_.reset();
  gone_.clear();
  wrong_.clear();
  suspect_.reset();
  open_ = has_returned_ = needs_another_ = false;
  losses_ = same_plans_ = 0;
}

void Recovery::ready(const WorkerPlan& worker, const Ready& ready) {
  Facts& facts = facts_[worker.name];
  facts.bytes_free = ready.bytes_free;
  facts.bytes_taken = ready.weight_bytes + ready.kv_bytes + ready.workspace_bytes;
}

// An answer ends a row of losses.
void Recovery::answered(const Plan& plan, const Header& answer) {
  losses_ = same_plans_ = 0;
  for (auto& [name, missing] : missing_) missing.was_lost_now = false;
  if (answer.kind != MessageKind::candidates) return;
  learn(plan, answer);
  for (auto& [name, missing] : missing_)
    if (std::exchange(missing.was_early, false)) missing.dial_at = Time{};
}

// A step goes through each stage once.
void Recovery::learn(const Plan& plan, const Header& answer) {
  for (const Hop& hop : answer.hops) {
    if (hop.peer < stage_peer(0) || !plan.has_worker(hop.peer)) continue;
    const WorkerPlan& worker = plan.worker(hop.peer);
    const double ms = hop.compute_us / 1000.0 / worker.layers.size();
    double& known = facts_[worker.name].layer_ms;
    known = known == 0 ? ms : std::min(known, ms);
  }
}

void Recovery::disturbed(Time now, const Fault& fault) {
  better_.reset();
  if (fault_) return;
  fault_ = fault;
  if (!open_) open(now, fault.text());
}

void Recovery::open(Time now, const std::string& why) {
  open_ = true;
  noticed_ = part_since_ = now;
  stall_ = {};
  stall_.why = why;
}

void Recovery::gone(Time now, const WorkerPlan& worker) {
  gone_.emplace(worker.name, worker);
  last_gone_ = now;
  has_returned_ = false;
}

void Recovery::suspected(const WorkerPlan& worker) {
  if (!suspect_) suspect_ = worker;
}

// It has room for the part that it held before, or for none; 0 would say that nothing is known.
void Recovery::does_not_fit(const WorkerPlan& worker) {
  Facts& facts = facts_[worker.name];
  facts.bytes_free = std::max<uint64_t>(facts.bytes_taken, 1);
  needs_another_ = true;
}

void Recovery::back(const WorkerPlan& worker) {
  if (!wrong_.contains(worker.name) && gone_.erase(worker.name)) has_returned_ = true;
}

// A link that it would answer at once is no reason to try it again.
void Recovery::wrong(Time now, const WorkerPlan& worker) {
  gone(now, worker);
  wrong_.insert(worker.name);
}

Recovery::Verdict Recovery::verdict(Time now) const {
  if (losses_ >= kLossesMax) return Verdict::give_up;
  if (!gone_.empty()) {
    const bool surely =
        std::all_of(gone_.begin(), gone_.end(), [](const auto& each) { return each.second.local; });
    const double patience = surely ? kTogetherSeconds : kBlipSeconds;
    return seconds(now - last_gone_) >= patience ? Verdict::another_plan : Verdict::wait;
  }
  if (needs_another_) return Verdict::another_plan;
  if (has_returned_) return Verdict::same_plan;
  if (same_plans_ > 0) return suspect_ ? Verdict::another_plan : Verdict::give_up;
  return !suspect_ || seconds(now - part_since_) >= kSuspectSeconds ? Verdict::same_plan
                                                                    : Verdict::wait;
}

bool Recovery::wants_dial(Time now) {
  if (gone_.empty() || seconds(now - dialed_) < kDialAgainSeconds) return false;
  dialed_ = now;
  return true;
}

Plan Recovery::next_plan(Time now, const Plan& plan) {
  const Verdict found = verdict(now);
  asked_.clear();
  stall_.detect_seconds += seconds(now - std::exchange(part_since_, now));
  CHECK(found == Verdict::same_plan || found == Verdict::another_plan);
  ++losses_;
  if (found == Verdict::same_plan) {
    ++same_plans_;
    return plan;
  }
  const bool doubted = gone_.empty() && !needs_another_;
  if (doubted) gone_.emplace(suspect_->name, *suspect_);
  std::set<std::string> without;
  for (const auto& [name, worker] : gone_) without.insert(name);
  for (const auto& [name, worker] : gone_)
    if (!worker.local && !leaves_for_good(name))
      miss(now, worker, doubted || wrong_.contains(name) ? kDoubtedSeconds : kMissingSeconds)
          .was_lost_now = true;
  try {
    return plan_without(plan, without);
  } catch (const Fault& none) {
    throw Fault(fault_->kind(), fault_->text() + "; there is no other plan: " + none.text(),
                none.fix(), fault_->where());
  }
}

// Where nobody else is left, those that were lost before may be there again.
Plan Recovery::plan_without(const Plan& plan, const std::set<std::string>& without) {
  WhyNot unused;
  const auto ask = [&](Of of) {
    asked_ = candidates(plan, without, of);
    const std::optional<Plan> next =
        replan_({plan, {without.begin(), without.end()}, asked_, losses_}, unused);
    CHECK(next.has_value());
    return *next;
  };
  try {
    return ask(Of::those_there);
  } catch (const Fault&) {
    const size_t there = asked_.size();
    if (candidates(plan, without, Of::all).size() == there) throw;
    return ask(Of::all);
  }
}

Recovery::Missing& Recovery::miss(Time now, const WorkerPlan& worker, double seconds) {
  const auto home = std::find_if(home_.begin(), home_.end(),
                                 [&](const WorkerPlan& w) { return w.name == worker.name; });
  Missing missing;
  missing.worker = home == home_.end() ? worker : *home;
  const auto invited = invited_.find(worker.name);
  missing.worker.endpoint = invited == invited_.end() ? worker.endpoint : invited->second;
  missing.again_seconds = seconds;
  missing.dial_at = now + from_seconds(seconds);
  return missing_[worker.name] = missing;
}

// A new ring has no links but those of its plan. Whom it has no place for may be asked another
// time.
void Recovery::begins(Time now, const Plan& plan) {
  stall_.replan_seconds += seconds(now - std::exchange(part_since_, now));
  gone_.clear();
  wrong_.clear();
  suspect_.reset();
  has_returned_ = needs_another_ = false;
  better_.reset();
  std::set<std::string> names;
  for (const WorkerPlan& worker : workers_of(plan)) names.insert(worker.name);
  for (const std::string& name : names) {
    missing_.erase(name);
    why_not_.erase(name);
  }
  for (const Candidate& each : std::exchange(asked_, {})) {
    if (names.contains(each.worker.name)) continue;
    miss(now, each.worker, kMissingSeconds).is_spare = true;
    note(each.worker.name, "the ring's plan has no layers for it");
  }
  std::erase_if(leaving_, [&](const auto& each) { return !names.contains(each.first); });
  for (auto& [name, missing] : missing_) {
    missing.link.reset();
    missing.is_back = false;
    missing.dial_at = now + from_seconds(missing.again_seconds);
  }
}

Stall Recovery::loaded(Time now) {
  if (!open_) return {.why = "the ring was loaded anew"};
  stall_.load_seconds += seconds(now - part_since_);
  open_ = false;
  fault_.reset();
  return std::exchange(stall_, {});
}

size_t Recovery::home_place(const std::string& name) const {
  return std::find_if(home_.begin(), home_.end(),
                      [&](const WorkerPlan& worker) { return worker.name == name; }) -
         home_.begin();
}

Candidate Recovery::candidate(const WorkerPlan& worker) const {
  const auto facts = facts_.find(worker.name);
  if (facts == facts_.end()) return {worker, 0, 0};
  return {worker, facts->second.bytes_free, facts->second.layer_ms};
}

// One who is back stands before the first who stood behind it in the owner's plan.
std::vector<Candidate> Recovery::candidates(const Plan& plan, const std::set<std::string>& without,
                                            Of of) const {
  std::vector<Candidate> found;
  for (const WorkerPlan& worker : workers_of(plan))
    if (!without.contains(worker.name)) found.push_back(candidate(worker));
  for (const auto& [name, missing] : missing_) {
    if (without.contains(name) || aside_.contains(name)) continue;
    const bool there = missing.is_back || missing.is_spare;
    if (!there && (of == Of::those_there || missing.was_lost_now)) continue;
    const size_t place = home_place(name);
    const auto behind = std::find_if(found.begin(), found.end(), [&](const Candidate& each) {
      const size_t other = home_place(each.worker.name);
      return other > place && other < home_.size();
    });
    found.insert(behind, candidate(missing.worker));
  }
  return found;
}

void Recovery::dial_missing(Time now, RingStart& ring, Outbox& out) {
  for (auto& [name, missing] : missing_) {
    if (missing.link || missing.is_spare || aside_.contains(name) || now < missing.dial_at)
      continue;
    missing.link = ring.dial(missing.worker, out);
    missing.dial_at = now + from_seconds(missing.again_seconds);
  }
}

void Recovery::up(PeerId link) {
  for (auto& [name, missing] : missing_)
    if (missing.link == link) missing.is_back = true;
}

void Recovery::let_down(Time now, PeerId link, const std::string& why) {
  for (auto& [name, missing] : missing_) {
    if (missing.link != link) continue;
    if (missing.is_back) drop_plan_with(name);
    missing.link.reset();
    missing.is_back = false;
    missing.dial_at = now + from_seconds(missing.again_seconds);
    if (!why.empty()) note(name, why);
  }
}

void Recovery::down(Time now, PeerId link) {
  let_down(now, link, "it does not answer");
}

void Recovery::declined(Time now, PeerId link) {
  let_down(now, link, "its owner needs it");
}

void Recovery::note(const std::string& worker, const std::string& why) {
  std::string& known = why_not_[worker];
  if (!are_same_but_for_numbers(known, why)) news_[worker] = why;
  known = why;
}

std::string Recovery::why_not(const Plan& plan, const std::string& worker) const {
  const auto known = why_not_.find(worker);
  const std::string why = known == why_not_.end() ? "" : known->second;
  if (plan.peer_named(worker)) return why;
  if (aside_.contains(worker)) return "drained";
  if (better_ && better_->peer_named(worker)) return "it is taken in after the next canvas";
  if (why.empty() && missing_.contains(worker)) return "it is being called";
  return why;
}

// A plan that waits for its moment, with a worker that has gone meanwhile: the ring stays as it is.
void Recovery::drop_plan_with(const std::string& worker) {
  if (!better_ || !better_->peer_named(worker)) return;
  better_.reset();
  asked_.clear();
}

void Recovery::forget(const std::string& worker, RingStart& ring, Outbox& out) {
  if (const auto found = missing_.find(worker); found != missing_.end()) {
    drop_plan_with(worker);
    if (found->second.link) ring.drop(*found->second.link, out);
    missing_.erase(found);
  }
  if (const auto leaves = leaving_.find(worker); leaves != leaving_.end())
    leaves->second = false;
  else
    why_not_.erase(worker);
  std::erase_if(asked_, [&](const Candidate& each) { return each.worker.name == worker; });
}

void Recovery::invite(const Candidate& guest) {
  const std::string& name = guest.worker.name;
  std::erase_if(home_, [&](const WorkerPlan& worker) { return worker.name == name; });
  home_.push_back(guest.worker);
  invited_[name] = guest.worker.endpoint;
  Facts& facts = facts_[name];
  facts.bytes_free = guest.bytes_free;
  if (facts.layer_ms == 0) facts.layer_ms = guest.layer_ms;
  Missing& missing = missing_[name];
  const bool is_met = missing.link && missing.worker.endpoint == guest.worker.endpoint &&
                      missing.worker.key == guest.worker.key;
  if (!is_met) {
    missing = {};  // a link that is up would not say so again
    why_not_.erase(name);
  }
  missing.worker = guest.worker;
  missing.again_seconds = kMissingSeconds;
}

void Recovery::set_aside(const Plan& plan, const std::set<std::string>& workers) {
  aside_.insert(workers.begin(), workers.end());
  better_.reset();
  for (const WorkerPlan& worker : workers_of(plan))
    if (workers.contains(worker.name)) leave(worker.name, true);
}

// One of this machine has ended and is started where a plan has it; the others are dialed at once.
void Recovery::take_back(const std::set<std::string>& workers) {
  for (const std::string& name : workers) {
    aside_.erase(name);
    if (!leaves_for_good(name)) leaving_.erase(name);
    const auto found = missing_.find(name);
    if (found == missing_.end()) continue;
    found->second.dial_at = {};
    found->second.again_seconds = kMissingSeconds;
    if (found->second.worker.local) found->second.is_spare = found->second.is_back = true;
  }
}

void Recovery::leave(const std::string& worker, bool may_return) {
  const auto leaves = leaving_.emplace(worker, may_return).first;
  leaves->second = leaves->second && may_return;
}

bool Recovery::leaves_for_good(const std::string& worker) const {
  const auto leaves = leaving_.find(worker);
  return leaves != leaving_.end() && !leaves->second;
}

// Whoever is of no use now is let go, and asked again later.
void Recovery::consider(Time now, const Plan& plan, RingStart& ring, Outbox& out) {
  const bool some = std::any_of(missing_.begin(), missing_.end(), [this](const auto& each) {
    return each.second.is_back && !aside_.contains(each.first);
  });
  if (!is_on() || !some || better_ || !leaving_.empty()) return;
  WhyNot why_not;
  asked_ = candidates(plan, {}, Of::those_there);
  try {
    better_ = replan_({plan, {}, asked_, 0}, why_not);
  } catch (const Fault& none) {  // the ring goes on as it is
    for (const Candidate& each : asked_) why_not[each.worker.name] = none.text();
  }
  for (const auto& [name, why] : why_not)
    if (!better_ && missing_.contains(name)) note(name, why);
  if (!better_) let_go(now, plan, ring, out);
}

// Before a first step nobody knows how fast the ring is: it is asked again right after that.
void Recovery::let_go(Time now, const Plan& plan, RingStart& ring, Outbox& out) {
  asked_.clear();
  const bool early = std::any_of(plan.stages.begin(), plan.stages.end(), [&](const auto& stage) {
    const auto facts = facts_.find(stage.name);
    return facts == facts_.end() || facts->second.layer_ms == 0;
  });
  for (auto& [name, missing] : missing_) {
    if (!std::exchange(missing.is_back, false) || !missing.link) continue;
    ring.drop(*missing.link, out);
    missing.again_seconds = kDoubtedSeconds;
    missing.was_early = early;
    let_down(now, *missing.link, "");
  }
}

std::optional<Plan> Recovery::change(Time now, const Plan& plan, std::string& why_not) {
  if (leaving_.empty()) {
    open(now, "a worker came back");
    return std::exchange(better_, std::nullopt);
  }
  const std::map<std::string, bool> leaving = std::exchange(leaving_, {});
  std::set<std::string> without;
  std::string names;
  for (const auto& [name, may_return] : leaving) {
    without.insert(name);
    names += (names.empty() ? "" : ", ") + name;
  }
  if (!is_on()) {
    why_not = names + " cannot leave: this ring ends with the workers that it began with";
    return std::nullopt;
  }
  asked_ = candidates(plan, without, Of::those_there);
  WhyNot unused;
  try {
    std::optional<Plan> next = replan_({plan, {without.begin(), without.end()}, asked_, 0}, unused);
    for (const std::string& name : without) why_not_.erase(name);
    for (const WorkerPlan& worker : workers_of(plan))
      if (without.contains(worker.name) && leaving.at(worker.name))
        miss(now, worker, kMissingSeconds);
    open(now, names + " left");
    return next;
  } catch (const Fault& none) {
    why_not = names + " cannot leave: " + none.text();
    for (const std::string& name : without) {
      std::string& known = why_not_[name];
      if (!are_same_but_for_numbers(known, why_not)) known = why_not;
      why_not = known;
    }
    return std::nullopt;
  }
}

}  // namespace potluck
