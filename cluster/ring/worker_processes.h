// WorkerProcesses: workers that are processes of this machine and never outlive the one that starts
// them.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

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
  struct Child {
    std::string name;
    pid_t pid = -1;
    int out = -1;  // its stdout, which says one line: the endpoint
    int log = -1;  // its stderr, a file in memory
    bool ended = false;
    int status = 0;
  };
  std::vector<std::string> command_line(const WorkerOrder& order) const;
  const Child& find(const std::string& name) const;
  void reap();
  std::string words_of_failed();

  const ProcessSetup setup_;
  std::vector<Child> children_;
};

}  // namespace potluck
