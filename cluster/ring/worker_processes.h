// WorkerProcesses: workers that are processes of this machine, or of others by a remote shell, and
// never outlive the one that starts them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/ring/child_process.h"
#include "cluster/ring/remote_shell.h"
#include "cluster/ring/worker_host.h"

namespace potluck {

struct ProcessSetup {
  std::string program;  // the potluck executable
  std::string model;    // as -m names it
  bool insecure_plaintext = false;
  RemoteShell shell = RemoteShell();  // for workers on other hosts
};

// The kernel kills them when the starting thread dies, however it dies, and those on other hosts
// end with their stdin; stop() waits for them (kGoodbyeSeconds) and then kills. Their logs are kept
// in memory, so no file is left either.
class WorkerProcesses final : public WorkerHost {
 public:
  explicit WorkerProcesses(ProcessSetup setup) : setup_(std::move(setup)) {}
  ~WorkerProcesses() override;
  WorkerProcesses(const WorkerProcesses&) = delete;
  WorkerProcesses& operator=(const WorkerProcesses&) = delete;

  void start(const WorkerOrder& order) override;
  Address endpoint(const std::string& name) override;
  WorkerState state(const std::string& name) override;
  std::string last_words(Time deadline) override;
  std::map<std::string, std::string> logs() const override;
  void trim_logs() override;
  void stop() override;

 private:
  struct Started {
    WorkerOrder order;
    std::vector<std::string> words;
    std::unique_ptr<ChildProcess> child;
    std::vector<std::string> said;  // lines of its hello
  };
  std::vector<std::string> command_line(const WorkerOrder& order) const;
  static bool has_said_hello(Started& worker, Time deadline);
  static std::string said(const Started& worker, size_t line, const std::string& what);
  Fault silence(const Started& worker) const;
  std::string words_of_failed() const;

  const ProcessSetup setup_;
  std::map<std::string, Started> started_;  // by the worker's name
};

}  // namespace potluck
