// WaitingRoom: a coordinator whose model does not fit its machine waits for others. It says to
// whoever asks what is missing, and makes a plan as soon as guests have brought enough.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/model/model_source.h"
#include "topology/plan/joint_plan.h"
#include "transport/control/control_server.h"

namespace potluck {

struct WaitingSetup {
  std::string name, model;                         // of the cluster; as -m named it
  Plan frame;                                      // all of the plan but who runs what
  int threads = 0;                                 // of this machine's CPU; 0: as many as it likes
  std::function<std::vector<DeviceRoom>()> rooms;  // of this machine, as they are now
  std::function<std::vector<Candidate>(Time now)> guests;     // who is there
  std::function<std::map<std::string, std::string>()> hosts;  // and on which machine, by worker
  std::function<void(const std::string& line)> say;
};

class WaitingRoom final {
 public:
  // Measures this machine's devices, for the plan to come. Throws Fault{memory} if no other machine
  // could help, for the head fits no device of this one.
  WaitingRoom(std::shared_ptr<const ModelSource> source, WaitingSetup setup);

  // Answers clients of the server, which outlives this, until something else takes its verbs.
  void answer_at(ControlServer& server);
  // A plan over this machine and its guests, if there is one by now.
  std::optional<Plan> look(Time now);
  // One that failed is not made again at once.
  void failed(Time now);

  // "the model needs 30.1 GB, and this machine has 12.0 GB"
  const std::string& what_is_missing() const { return missing_; }

 private:
  std::vector<DeviceRoom> rooms() const;
  void see(const std::vector<Candidate>& guests);
  Fault not_yet() const;
  nlohmann::json status() const;

  const std::shared_ptr<const ModelSource> source_;
  const WaitingSetup setup_;
  const Time since_;
  std::vector<OwnDevice> own_;
  std::vector<Candidate> guests_;  // of the last look
  std::string missing_;
  uint64_t needed_ = 0, free_ = 0;
  Time looked_{};
  bool loads_ = false;
};

}  // namespace potluck
