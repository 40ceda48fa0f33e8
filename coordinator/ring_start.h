// RingStart: how a ring comes to life: its workers are connected, loaded, and joined to each other.
// It may begin again with a plan of a newer epoch, for workers that were in the ring before, too.
//
// A worker is known by where it listens. A link to one that the new plan still has is kept, though
// the worker may be another part of the ring now; so the coordinator's own name for a link is not
// always the peer id that the plan gives the worker.
//
// Loading ends before joining begins: when a worker dials the next, that one has left what it was
// in before and knows who it is now.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "topology/model/fingerprint.h"
#include "topology/plan/plan.h"
#include "transport/state_machine.h"

namespace potluck {

// Waits longer than this are told, once and then each time as much has passed again.
inline constexpr double kToldSeconds = 5, kToldAgainSeconds = 30;
double next_told_seconds(double told);  // told: the last wait that was; 0 if none was

struct LoadSeconds {
  double phase = 0;  // for each phase
  double fetch = 0;  // for a worker elsewhere to load, if it may have to fetch; 0: as the others
};

struct RingStartEvents {
  // "stage 0 to load"; seconds: of waiting for it so far
  std::function<void(const std::string& what, double seconds)> waiting;
  std::function<void(PeerId worker, const Ready&)> ready;  // loaded
  std::function<void()> loaded;                            // all of them, and joined
};

class RingStart final {
 public:
  // secret: of the ring, for its workers alone (Load::secret).
  RingStart(Fingerprint model, std::string secret, RingStartEvents events);

  // plan: checked by the caller. Messages of `out` are addressed to workers by the plan's ids,
  // as those of handle() are; see link_to().
  void begin(Time now, const Plan& plan, LoadSeconds limits, Outbox& out);
  // An `up`, or a worker's `ready` or `joined`. Throws Fault{refused}.
  void handle(Time now, const Event& event, Outbox& out);
  // Links come up and go down when nothing is to be loaded, too: they serve the next plan.
  void found(PeerId link);
  void lost(PeerId link);
  // Dials a worker again whose link was lost; does nothing while there is a link, or a dial.
  void redial(PeerId worker, Outbox& out);
  // Dials a worker that the plan does not have; returns the name of that link.
  PeerId dial(const WorkerPlan& other, Outbox& out);
  void drop(PeerId link, Outbox& out);
  // Throws Fault{lost} naming the workers that are late; tells those that are about to be.
  void check_deadline(Time now);
  bool done() const { return phase_ == Phase::done; }
  std::vector<PeerId> overdue(Time now) const;  // workers that this phase waited for too long

  PeerId link_to(PeerId worker) const;
  std::optional<PeerId> worker_on(PeerId link) const;  // none: not of this plan
  bool is_up(PeerId worker) const;

 private:
  enum class Phase { idle, connecting, loading, joining, done };
  struct Link {
    Address address;
    bool up = false;
  };
  struct Member {
    PeerId link = 0;
    bool ready = false, joined = false;
  };

  void keep_links(Outbox& out);
  void up(Time now, PeerId worker, const Event& event, Outbox& out);
  void load_all(Time now, Outbox& out);
  void ready(Time now, PeerId worker, const Message& message, Outbox& out);
  void joined(PeerId worker);
  bool all(bool (*what)(const RingStart&, PeerId)) const;
  bool is_late(PeerId worker) const;
  std::vector<PeerId> late() const;  // workers that this phase waits for
  double limit_seconds(PeerId worker) const;
  std::string names_of(const std::vector<PeerId>& workers) const;
  PeerId link_with(const WorkerPlan& worker, PeerId wanted, Outbox& out);
  void set_phase(Phase phase, Time now);

  const Fingerprint model_;
  const std::string secret_;
  const RingStartEvents events_;
  LoadSeconds limits_;
  Plan plan_;
  Phase phase_ = Phase::idle;
  Time phase_since_{};
  double told_seconds_ = 0;           // the last wait of this phase that was told
  std::map<PeerId, Link> links_;      // by our name for the link
  std::map<PeerId, Member> members_;  // by the plan's id
};

}  // namespace potluck
