// Guests: the coordinator's verbs for machines that join: it lets them in (admission.h), takes
// their offers, says what became of those, and lets them go.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "coordinator/membership/admission.h"
#include "coordinator/membership/guest_offer.h"
#include "transport/control/control_server.h"

namespace potluck {

// Whoever owns the ring does these, on the server's thread.
struct GuestHooks {
  std::string model;  // as the coordinator's -m names it
  // A machine has come, or come back at other endpoints. Its workers may be taken into the next
  // plan.
  std::function<void(const GuestOffer& offer)> came;
  // The ring is to do without this worker at the next moment that allows it, and not to ask for it
  // any more; it may have no part.
  std::function<void(const std::string& worker)> forget;
  // Which part of the ring a worker is, in words ("layers 3:9"); empty: none.
  std::function<std::string(const std::string& worker)> part_of;
  // Why it has none, or, where it was to leave, why it still has one; empty: it is not known.
  std::function<std::string(const std::string& worker)> why_not;
};

class Guests final {
 public:
  // server: outlives this.
  Guests(ControlServer& server, Admission admission, GuestHooks hooks);

  // Throws Fault{refused} for the key of a machine that was not let in.
  void check_admitted(const std::string& key) const;

  // Lets those go that were shut out meanwhile, once every so often.
  void tick(Time now);
  // Says what each machine offers that has been heard of lately.
  std::vector<GuestOffer> offers(Time now) const;
  // The machines of all workers that were offered, by worker.
  std::map<std::string, std::string> hosts() const;

 private:
  nlohmann::json offer(const ControlCall& call);
  nlohmann::json leave(const ControlCall& call);
  nlohmann::json waiting();
  nlohmann::json answer(const ControlCall& call);
  nlohmann::json parts(const GuestOffer& offer) const;
  std::string free_name(const std::string& name, const std::string& key);
  void let_go(const GuestOffer& offer);

  struct Known {
    GuestOffer offer;
    Time heard;  // when it said so last
  };

  Admission admission_;
  const GuestHooks hooks_;
  std::map<std::string, Known> guests_;  // by key
  // The names that machines and workers have here, by key, and then by what the machine calls them.
  // One that leaves and comes again has the same.
  std::map<std::string, std::map<std::string, std::string>> names_;
  Time looked_{};
};

}  // namespace potluck
