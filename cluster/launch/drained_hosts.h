// DrainedHosts: machines that a ring is to do without while somebody needs them: potluck drain.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/ring/ring.h"
#include "transport/control/control_server.h"

namespace potluck {

class DrainedHosts final {
 public:
  // ring: outlives this. places: the machines of workers that are not this one's, by worker.
  // own_hosts: this machine's.
  DrainedHosts(Ring& ring, std::function<std::map<std::string, std::string>()> places,
               std::set<std::string> own_hosts)
      : ring_(ring), places_(std::move(places)), own_hosts_(std::move(own_hosts)) {}

  // Answers kDrainVerb, at once or when the ring has changed. Throws Fault{input} for a name that
  // is no machine's, and no worker's of this one.
  void take(const std::shared_ptr<ControlCall>& call);
  std::vector<std::string> names() const;

 private:
  using Workers = std::set<std::string>;
  std::map<std::string, Workers> known() const;
  const Workers& workers_of(const std::map<std::string, Workers>& known,
                            const std::string& name) const;
  void drain(const std::string& name, const Workers& workers,
             const std::shared_ptr<ControlCall>& call);
  void end(const std::string& name, ControlCall& call);
  void answer(ControlCall& call, const std::string& why_not) const;

  Ring& ring_;
  const std::function<std::map<std::string, std::string>()> places_;
  const std::set<std::string> own_hosts_;
  std::map<std::string, Workers> asked_;  // by name: those that leave, or have left
  std::set<std::string> gone_;            // names of those that have left
};

}  // namespace potluck
