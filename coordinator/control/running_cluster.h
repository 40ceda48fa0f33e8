// RunningCluster: what a coordinator that stays leaves in the person's state folder while it runs,
// so that other commands find it, and what a crash of it left is found too:
//
//   STATE/NAME/lock           held as long as it lives; the kernel lets go of it however that ends
//   STATE/NAME/state.json     which process it is, and what it runs
//   STATE/NAME/control.sock   takes calls (transport/control)
//   STATE/NAME/log            what it has to say
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "topology/base/lock_file.h"

namespace potluck {

inline constexpr char kClusterName[] = "cluster";  // of one that nobody has named

struct ClusterState {
  enum class Phase { starting, up, ending, failed };
  Phase phase = Phase::starting;
  pid_t pid = 0;
  std::string model, file;  // as they were given; a cluster without a file has none
  std::string endpoint;     // where clients of other machines call; empty: nowhere
  std::string failure;      // of one that has failed: why
  int64_t since = 0;        // seconds since 1970
  bool joins = false;       // other machines may join
};

class RunningCluster final {
 public:
  // folder: potluck's own state folder. Throws Fault{input} for a name that could be no folder's,
  // and Fault{world} where there is no state folder, or its path is too long for a socket.
  RunningCluster(const std::string& folder, const std::string& name);
  RunningCluster(const RunningCluster&) = delete;
  RunningCluster& operator=(const RunningCluster&) = delete;

  const std::string& name() const { return name_; }
  std::string socket() const { return folder_ + "/control.sock"; }
  std::string log() const { return folder_ + "/log"; }

  // Takes the cluster for this process and those that it forks, and removes what a crash left;
  // true if there was something. Waits a while for one that is ending. Throws Fault{input} if it
  // runs already.
  bool claim();
  bool is_up() const;     // some process has claimed it
  bool is_there() const;  // up, or left behind
  // None: it has written nothing yet. Throws Fault{input} for a file that is damaged.
  std::optional<ClusterState> read() const;
  // The process that has claimed it; 0: none. Sends a signal to that one and no other; false: there
  // is none.
  pid_t owner() const { return lock_.owner(); }
  bool signal_owner(int signal) const { return lock_.signal_owner(signal); }
  void write(const ClusterState& state) const;  // whole or not at all
  // The folder, with all that is in it; whoever has claimed it calls this.
  void remove();
  // The same of one that nobody has claimed; false: some process has.
  bool remove_left();

 private:
  std::optional<ClusterState::Phase> phase_or_none() const;
  void clear() const;

  const std::string name_, folder_;
  LockFile lock_;
};

}  // namespace potluck
