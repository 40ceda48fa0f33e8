// PlanProblem: everything that a planner needs, as plain numbers: what each device takes for each
// layer in time and memory, and what each hop between hosts takes. It is made from a cluster and a
// model, and no machine has to be awake for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/cluster/cluster_spec.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"

namespace potluck {

// A worker's possible place. It computes one thing at a time: its stage and the head, if it has
// both, share it.
struct PlanDevice {
  std::string name;            // of the cluster
  std::string device = "cpu";  // a plan's
  int threads = 0;
  int host = 0;
  std::vector<double> layer_ms;
  double message_ms = 0;  // for each message beside its layers
  double head_ms = 0;
  uint64_t memory_bytes = 0;          // that a plan may take; headroom is already off
  std::vector<uint64_t> layer_bytes;  // weights, and KV of all sessions
  uint64_t stage_bytes = 0;           // of a stage beside its layers
  uint64_t head_bytes = 0;
  bool may_be_head = true;
  bool may_hold_layers = true;
};

// A canvas's rows from one host to another, or within one.
struct HostHop {
  double ms = 0;        // until all of it has arrived
  double wire_ms = 0;   // for which it keeps the sender's and the receiver's line busy
  double wide_ms = 0;   // ms, if it crosses in the stream's dtype
  bool narrow = false;  // it crosses as int8, because that pays and is allowed
};

inline constexpr int kDevicesMax = 512;  // of a problem

struct PlanProblem {
  std::vector<std::string> hosts;
  std::vector<PlanDevice> devices;
  std::vector<std::vector<HostHop>> hops;  // [from][to], hosts
  std::vector<double> coordinator_ms;      // [host]: to a head there and back, each step
  std::vector<uint64_t> stored_bytes;      // of each layer in the model's file
  uint64_t head_stored_bytes = 0;
  int head = -1;  // the device that has to be the head; -1: any that may
  Plan frame;     // says all of a plan but who runs what

  int layers() const { return devices.front().layer_ms.size(); }
  int device_named(const std::string& name) const;  // its index, or -1
  // The same problem where these devices take no part.
  PlanProblem without(const std::vector<int>& lost) const;
};

// A measured device is given less than it has: others take memory too.
inline constexpr double kHeadroom = 0.15;
// An int8 hop changes the answer, so it has to save at least so much of what the hop takes.
inline constexpr double kNarrowPays = 0.1;

struct PlanAsk {
  bool with_spares = false;       // spare devices take part as well
  std::vector<std::string> lost;  // hosts and devices that take no part
};

// Throws Fault{input} at the cluster's file and line: for each device that lacks its speed or its
// memory, and each pair of hosts without a link; and for a head that may not be one.
PlanProblem make_problem(const ClusterSpec& cluster, const ModelSource& source, const PlanAsk& ask);

}  // namespace potluck
