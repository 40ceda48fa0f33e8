// Coordinator: a ring that stays and answers clients: their requests run side by side, as many as
// the plan has sessions. It also says how the ring is, and shows logs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/launch/drained_hosts.h"
#include "cluster/ring/ring.h"
#include "topology/model/model_source.h"
#include "transport/control/control_server.h"

namespace potluck {

struct CoordinatorSetup {
  std::string name, model;  // of the cluster; as -m named it
  // The machines of workers that are not this one's, by worker; may be none.
  std::function<std::map<std::string, std::string>()> places;
  std::function<void(Time now)> every_turn;  // of the loop; may be none
  std::function<void(const std::string& line)> log = [](const std::string&) {};
  std::set<std::string> own_hosts = {};  // this machine's names
};

class Coordinator final {
 public:
  // server: outlives this; its verbs of ring_messages.h are handled here from now on.
  Coordinator(std::shared_ptr<const ModelSource> source, Ring& ring, ControlServer& server,
              CoordinatorSetup setup);
  ~Coordinator();

  // Serves until an interrupt; whoever waits for an answer then is told so. Throws the ring's Fault
  // when it has failed.
  void run();

 private:
  struct Running {  // a request
    std::shared_ptr<ControlCall> call;
    bool keeps = false;  // its session
    bool begun = false;
  };
  struct Held {  // a session that is kept between requests
    ConnectionId client = 0;
    uint64_t last_used = 0;  // number of the request
    bool busy = false;
  };

  struct Step {
    std::string ring;  // that it went round
    std::vector<Hop> hops;
    double ms = 0;
  };

  void ask(std::shared_ptr<ControlCall> call);
  RequestEvents events_for(uint64_t session);
  void finished(uint64_t request, const RequestResult& result);
  void failed(uint64_t request, const Fault& fault);
  void note_step(const StepReport& report);
  const Step& last_step() const;
  void say_goodbye();
  void make_room();
  void close(ControlCall& call);
  void client_gone(ConnectionId client);
  nlohmann::json status() const;
  nlohmann::json worker_status(PeerId worker, const std::string& host) const;
  std::map<std::string, std::string> places() const;
  nlohmann::json step_status() const;
  nlohmann::json link_status() const;

  const std::shared_ptr<const ModelSource> source_;
  Ring& ring_;
  ControlServer& server_;
  const CoordinatorSetup setup_;
  DrainedHosts drained_;
  std::string vocabulary_;  // its bytes, once somebody has asked
  std::map<uint64_t, Running> running_;
  std::map<uint64_t, Held> sessions_;
  uint64_t answered_ = 0;
  Step last_;
  Time started_;
};

}  // namespace potluck
