// HostDoctor: the doctor on one host of a cluster, here or at the other end of ssh, and what it
// answers.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/ring/child_process.h"
#include "cluster/ring/remote_shell.h"
#include "topology/cluster/cluster_spec.h"

namespace potluck {

class HostDoctor final {
 public:
  // program: this potluck, for the host that is here. Throws Fault{world | input}.
  HostDoctor(const HostSpec& host, const std::string& program, const RemoteShell& shell);

  // Sends an order, and does not wait for its answer.
  void order(const nlohmann::ordered_json& order);
  // The next answer. Throws Fault{world} if the doctor there ends or stays silent instead, or if it
  // could not obey.
  nlohmann::ordered_json answer(double seconds);
  nlohmann::ordered_json ask(const nlohmann::ordered_json& question, double seconds);

 private:
  Fault failure();

  const std::string ssh_;  // as ssh takes the host; empty: this machine
  const RemoteShell shell_;
  std::vector<std::string> words_;
  std::unique_ptr<ChildProcess> child_;
};

}  // namespace potluck
