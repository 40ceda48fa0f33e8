// Real workers on threads of their own, over TCP, and a real coordinator that asks rings of them.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/pipeline.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {

inline constexpr char kAttackedModel[] =
    "synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5";
inline constexpr int kAttackedCanvas = 8, kAttackedVocab = 320, kAttackedHidden = 32;

// A plan of a head and stages in their order, which have this key where links are locked.
Plan attacked_plan(const ModelSource& source, const std::vector<std::string>& endpoints,
                   const std::string& key = {});

enum class Locks { none, one_key };  // one_key: all parties of the ring have the same

class HonestWorkers final {
 public:
  HonestWorkers(std::shared_ptr<const ModelSource> source, int count, Locks locks = Locks::none);
  ~HonestWorkers();

  const std::string& endpoint(size_t worker) const { return endpoints_[worker]; }
  // Worker 0 is the head.
  Plan plan() const { return attacked_plan(*source_, endpoints_, key_); }

 private:
  const std::shared_ptr<const ModelSource> source_;
  const std::string key_;  // of workers with locked links
  std::atomic<bool> stop_{false};
  std::vector<std::string> endpoints_;
  std::vector<std::thread> threads_;
};

// One coordinator with a ring of its own.
class HonestCoordinator final {
 public:
  HonestCoordinator(std::shared_ptr<const ModelSource> source, Plan plan);
  ~HonestCoordinator();

  // Asks once; the ids, or nothing and a fault.
  std::vector<int32_t> ask();
  void end();  // tells the workers, and hangs up
  const std::optional<Fault>& fault() const { return fault_; }
  RingId ring() const { return {incarnation_, plan_.epoch}; }

 private:
  const uint64_t incarnation_;
  const Plan plan_;
  const std::shared_ptr<const ModelSource> source_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Pipeline> pipeline_;
  bool running_ = true;
  std::vector<int32_t> ids_;
  std::optional<Fault> fault_;
};

}  // namespace potluck
