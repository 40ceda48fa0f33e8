// WorkerThreads: workers that are threads of this process.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "cluster/ring/worker_host.h"
#include "topology/model/model_source.h"
#include "transport/transport.h"

namespace potluck {

class WorkerThreads final : public WorkerHost {
 public:
  using NewTransport = std::function<std::unique_ptr<Transport>()>;

  // Each worker reads `source` and gets a transport of its own.
  WorkerThreads(std::shared_ptr<const ModelSource> source, NewTransport new_transport);
  ~WorkerThreads() override;

  void start(const WorkerOrder& order) override;
  Address endpoint(const std::string& name) override { return endpoints_.at(name); }
  WorkerState state(const std::string& name) override {
    return endpoints_.count(name) ? WorkerState::listening : WorkerState::none;
  }
  std::string last_words(Time) override { return {}; }  // a thread does not fail by itself
  std::map<std::string, std::string> logs() const override { return {}; }
  void trim_logs() override {}
  void stop() override;

 private:
  const std::shared_ptr<const ModelSource> source_;
  const NewTransport new_transport_;
  std::atomic<bool> stopping_ = false;
  std::map<std::string, std::string> endpoints_;      // by worker
  std::vector<std::weak_ptr<Transport>> transports_;  // each dies with its thread
  std::vector<std::thread> threads_;
};

}  // namespace potluck
