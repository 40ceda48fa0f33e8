// RemoteShell: starts commands on other hosts by the person's own ssh, with its agent and settings,
// or by another command that is called as rsh is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster/ring/child_process.h"
#include "topology/base/fault.h"

namespace potluck {

inline constexpr char kRemoteShellHelp[] =
    "what reaches other hosts instead of ssh; it is called as CMD HOST WORD…, and has a shell "
    "there "
    "read the words, as ssh does";

class RemoteShell final {
 public:
  // command: as a shell reads it ("ssh -F lab.conf"); empty: ssh, which may ask nothing and has
  // kSshConnectSeconds to reach the host.
  explicit RemoteShell(std::string command = "") : command_(std::move(command)) {}

  // Starts it there. Its stdin stays open until close_stdin(): a command that has end_with_stdin()
  // (cluster/cli/lifeline.h) so ends with the process that started it, however that one ends.
  // Throws Fault{input} for a host that the remote shell would take for a flag.
  std::unique_ptr<ChildProcess> start(const std::string& host,
                                      const std::vector<std::string>& words) const;
  // Says what kept a command from its work, which has ended or is silent, and what to do about it.
  // words: those that it was started with.
  Fault failure(const std::string& host, const std::vector<std::string>& words,
                ChildProcess& child) const;

 private:
  const std::string command_;
};

// A word as a shell reads it: in quotes where it needs them.
std::string shell_word(const std::string& word);

}  // namespace potluck
