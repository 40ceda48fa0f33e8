// LocalWorkers: worker processes that this process starts and that never outlive it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace potluck {

// The kernel kills them when the starting thread dies, however it dies; the destructor waits for
// them (kGoodbyeSeconds) and then kills. Their log goes to memory, so no file is left either.
class LocalWorkers final {
 public:
  // program: the potluck executable.
  explicit LocalWorkers(std::string program) : program_(std::move(program)) {}
  ~LocalWorkers();
  LocalWorkers(const LocalWorkers&) = delete;
  LocalWorkers& operator=(const LocalWorkers&) = delete;

  // Starts `potluck worker ARGUMENTS…`. Throws Fault{world} if that cannot be.
  void start(const std::string& name, const std::vector<std::string>& arguments);
  // Where the worker listens, as it says itself. Throws Fault{world} with its last words if it
  // ends or is silent for kHelloSeconds instead.
  std::string endpoint(const std::string& name);

  // How each worker that has failed did so, and its last log lines; empty if none has.
  std::string last_words();
  // Their logs, each under its worker's name.
  std::string logs() const;

 private:
  struct Child {
    std::string name;
    pid_t pid = -1;
    int out = -1;  // its stdout: one line, the endpoint
    int log = -1;  // its stderr, a file in memory
    bool ended = false;
    int status = 0;
  };
  const Child& find(const std::string& name) const;
  void look();  // reaps what has ended
  void end_all();

  std::string program_;
  std::vector<Child> children_;
};

}  // namespace potluck
