// Recovery: what becomes of a ring that loses workers, gets them back, or is to do without some. It
// finds out who is gone for certain, and asks for another plan when the same workers cannot go on.
// It sends nothing but dials, and knows workers by their names, which no plan changes.
//
// The ladder: a link that was down for a moment only means the same plan again; then whatever the
// owner's Replan can find (a worker's process started again, a spare, its neighbours, the CPU of
// this machine); and else the ring fails with what was wrong first.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/request.h"
#include "coordinator/ring_start.h"
#include "topology/base/fault.h"
#include "topology/plan/remaining_plan.h"

namespace potluck {

// A lost worker may answer again within a moment; after that its part goes to others.
inline constexpr double kBlipSeconds = 1;
// A worker of this machine does not, but what has ended it, or its address, may end others with it.
inline constexpr double kTogetherSeconds = 0.25;
// A worker whose neighbour says that it is lost, and whose link to here still stands, may have been
// found silent by that neighbour first.
inline constexpr double kSuspectSeconds = kSilenceSeconds + 1;
// Losses in a row, without an answer of the ring between them, until it is given up.
inline constexpr int kLossesMax = 8;

struct RingChange {
  const Plan& plan;                   // of the ring as it was
  std::vector<std::string> lost;      // workers of it that are gone, or are to leave
  std::vector<Candidate> candidates;  // who is left, and who is back; in ring order
  // How many losses there were in a row, this one with them; 0: nothing is wrong, but somebody is
  // back or leaves.
  int losses = 0;
};

// Gives a plan of the candidates, or of whatever else there is. Its epoch is of no account, and it
// has as many sessions as the ring had. None, where somebody is back and nobody is lost: the ring
// does better as it is, and it says why, of each that is back. It may take its time, and throws a
// Fault that says why there is no plan.
using Replan = std::function<std::optional<Plan>(const RingChange&, WhyNot&)>;

class Recovery final {
 public:
  explicit Recovery(Replan replan) : replan_(std::move(replan)) {}

  bool is_on() const { return replan_ != nullptr; }

  // These three say what the ring does, so that it is known what its workers can do.
  void begins_with(const Plan& plan);  // the plan of the owner
  void ready(const WorkerPlan& worker, const Ready& ready);
  void answered(const Plan& plan, const Header& answer);

  // A loss. The first fault is the one that is told.
  void disturbed(Time now, const Fault& fault);
  void gone(Time now, const WorkerPlan& worker);
  void suspected(const WorkerPlan& worker);  // by a neighbour, at work or when it dialed
  void does_not_fit(const WorkerPlan& worker);
  void back(const WorkerPlan& worker);             // it answered within a moment
  void wrong(Time now, const WorkerPlan& worker);  // it sent what no worker sends: it is gone
  enum class Verdict { wait, same_plan, another_plan, give_up };
  Verdict verdict(Time now) const;
  bool wants_dial(Time now);  // of who is gone
  const Fault& fault() const { return *fault_; }
  Time noticed() const { return noticed_; }
  bool is_open() const { return open_; }  // from a loss or a change on, until a plan is loaded

  // The plan to go on with, as the verdict says. Throws Fault.
  Plan next_plan(Time now, const Plan& plan);
  void begins(Time now, const Plan& plan);  // which is being loaded
  Stall loaded(Time now);                   // and now it is; the wait so far
  // Those that were in the ring once and may come back are dialed now and then.
  void dial_missing(Time now, RingStart& ring, Outbox& out);
  void up(PeerId link);
  void down(Time now, PeerId link);
  void declined(Time now, PeerId link);  // it was asked back, and its owner needs it

  // A worker that was never in the ring, or listens elsewhere now: it is dialed, and taken in as
  // one that comes back is.
  void invite(const Candidate& guest);
  // It has left for good: nobody dials it or plans with it any more. One of the plan is first done
  // without, by leave().
  void forget(const std::string& worker, RingStart& ring, Outbox& out);

  // No plan has these workers until take_back(): those of the plan leave, and the others are not
  // taken in. They stay known, and so does where they listen.
  void set_aside(const Plan& plan, const std::set<std::string>& workers);
  void take_back(const std::set<std::string>& workers);

  // A change that waits for a moment when nothing is on its way.
  void leave(const std::string& worker, bool may_return);                   // of the plan
  void consider(Time now, const Plan& plan, RingStart& ring, Outbox& out);  // who is back
  bool wants_rest() const { return !leaving_.empty() || better_; }
  // The plan of the change; none: it was decided otherwise, as `why_not` says.
  std::optional<Plan> change(Time now, const Plan& plan, std::string& why_not);

  // Why a worker has no part in the plan, or, of one that was to leave it, why it is still there;
  // empty: nothing is known.
  std::string why_not(const Plan& plan, const std::string& worker) const;
  // The same of those whose reason is new since the last call, and who have no part.
  WhyNot take_news() { return std::exchange(news_, {}); }

 private:
  struct Facts {
    uint64_t bytes_free = 0, bytes_taken = 0;
    double layer_ms = 0;
  };
  struct Missing {
    WorkerPlan worker;
    Time dial_at{};
    double again_seconds = 0;  // between dials
    std::optional<PeerId> link;
    bool is_back = false;
    bool is_spare = false;      // no plan had a place for it
    bool was_lost_now = false;  // since the last answer
    bool was_early = false;     // it was of no use before the ring's speed was known
  };

  enum class Of { those_there, all };  // or also those that may have come back
  std::vector<Candidate> candidates(const Plan& plan, const std::set<std::string>& without,
                                    Of of) const;
  Plan plan_without(const Plan& plan, const std::set<std::string>& without);
  Candidate candidate(const WorkerPlan& worker) const;
  void open(Time now, const std::string& why);
  Missing& miss(Time now, const WorkerPlan& worker, double seconds);
  size_t home_place(const std::string& name) const;
  void learn(const Plan& plan, const Header& answer);
  void let_go(Time now, const Plan& plan, RingStart& ring, Outbox& out);
  void let_down(Time now, PeerId link, const std::string& why);
  void note(const std::string& worker, const std::string& why);
  void drop_plan_with(const std::string& worker);
  bool leaves_for_good(const std::string& worker) const;

  const Replan replan_;
  std::vector<WorkerPlan> home_;                // the owner's plan: its head, then its stages
  std::map<std::string, std::string> invited_;  // where they said last that they listen, by name
  std::map<std::string, Facts> facts_;
  std::map<std::string, Missing> missing_;
  std::map<std::string, bool> leaving_;  // whether each may return
  std::set<std::string> aside_;          // no plan may have them
  WhyNot why_not_, news_;
  std::optional<Plan> better_;

  bool open_ = false;
  std::optional<Fault> fault_;
  Time noticed_{}, last_gone_{}, part_since_{}, dialed_{};
  std::map<std::string, WorkerPlan> gone_;
  std::set<std::string> wrong_;   // of those that are gone
  std::vector<Candidate> asked_;  // candidates of the plan that is to be loaded
  std::optional<WorkerPlan> suspect_;
  bool has_returned_ = false, needs_another_ = false;
  int losses_ = 0, same_plans_ = 0;  // since the last answer
  Stall stall_;
};

}  // namespace potluck
