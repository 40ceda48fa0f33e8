// GuestOffer: what a machine that was let in offers to the cluster: its workers, where they listen,
// and how much each can hold and how fast.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "topology/cluster/cluster_spec.h"
#include "topology/plan/plan.h"

namespace potluck {

struct GuestWorker {
  std::string endpoint;  // tcp://HOST:PORT, at the address that the coordinator reaches
  DeviceSpec device;     // its name is the worker's
};

struct GuestOffer {
  std::string host;  // the machine's name
  std::string key;   // its public key, by its link and not by its word
  std::vector<GuestWorker> workers;
};

inline constexpr size_t kGuestWorkersMax = 16;

nlohmann::json json_of(const GuestOffer& offer);
// Throws Fault{input} that names what is wrong, in the words of `where`.
GuestOffer guest_offer_of(const nlohmann::json& body, const std::string& key,
                          const std::string& where);

// Why a worker has no part, or is not let go, in the coordinator's reply; empty: it does not say.
std::string why_in(const nlohmann::json& reply, const std::string& worker);
// Says that of all workers which have parts still.
std::string why_kept(const nlohmann::json& reply);

// A worker that a guest offers, for a plan.
WorkerPlan worker_plan_of(const GuestWorker& worker, const std::string& key);

}  // namespace potluck
