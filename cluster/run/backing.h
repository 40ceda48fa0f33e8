// Backing: who answers `potluck run`: a ring that it starts itself, on this machine or by a cluster
// file, or the cluster that is up.
#pragma once

#include <memory>
#include <string>

#include "cluster/cli/commands.h"
#include "cluster/ring/cluster_ring.h"
#include "cluster/ring/ring.h"
#include "cluster/run/run_flags.h"
#include "coordinator/control/ring_client.h"

namespace potluck {

class Backing final {
 public:
  // Says in one line which cluster it is, if it is one that is up. Throws Fault{input} where
  // nothing says which model to take and no cluster is up.
  Backing(const RunFlags& flags, const CommandLine& line, std::shared_ptr<MpiJob> job);

  const std::string& model() const { return model_; }  // as -m names it
  const ModelSpec& spec() const;
  Vocabulary vocabulary();
  std::vector<std::string> notes() const;  // on the model, a line each
  const Plan& plan() const { return ring_.plan; }
  // Starts the ring, where it is not up already. Called once.
  std::unique_ptr<Answerer> start();

 private:
  void open(const RunFlags& flags, const CommandLine& line);
  void reach(const RunFlags& flags, const CommandLine& line);

  std::string model_;
  std::shared_ptr<const ModelSource> source_;  // none: of the cluster that is up
  ClusterRing ring_;
  RingSetup setup_;
  std::unique_ptr<RingClient> client_;
  ModelSpec served_;  // the client's
};

}  // namespace potluck
