// WorkerProcesses: workers that are processes of this machine and never outlive the one that starts
// them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/ring/child_process.h"
#include "cluster/ring/worker_host.h"

namespace potluck {

struct ProcessSetup {
  std::string program;  // the potluck executable
  std::string model;    // as -m names it
  bool insecure_plaintext = false;
};

// The kernel kills them when the starting thread dies, however it dies; stop() waits for them
// (kGoodbyeSeconds) and then kills. Their logs are kept in memory, so no file is left either.
class WorkerProcesses final : public WorkerHost {
 public:
  explicit WorkerProcesses(ProcessSetup setup) : setup_(std::move(setup)) {}
  ~WorkerProcesses() override;
  WorkerProcesses(const WorkerProcesses&) = delete;
  WorkerProcesses& operator=(const WorkerProcesses&) = delete;

  void start(const WorkerOrder& order) override;
  std::string endpoint(const std::string& name) override;
  std::string last_words(Time deadline) override;
  std::string logs() const override;
  void stop() override;

 private:
  std::vector<std::string> command_line(const WorkerOrder& order) const;
  ChildProcess& find(const std::string& name) const;
  std::string words_of_failed() const;

  const ProcessSetup setup_;
  std::map<std::string, std::unique_ptr<ChildProcess>> children_;  // by the worker's name
};

}  // namespace potluck
