// A folder with a janitor: a shell that reads from a pipe until its other end is closed, by
// whatever ends this process, and then removes the folder.
#include "cluster/cli/private_folder.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr size_t kPathMax = 100;  // a socket's has 107 bytes at most
constexpr char kShell[] = "/bin/sh";
// Ctrl-C is for the coordinator, which ends the janitor by ending.
constexpr char kScript[] = "trap '' INT TERM HUP; read -r word; rm -rf -- \"$0\"";

[[noreturn]] void failed(const std::string& what, int error) {
  throw Fault(FaultKind::world, "cannot " + what + ": " + std::strerror(error),
              Fix{"see that TMPDIR can be written to"});
}

}  // namespace

PrivateFolder::PrivateFolder() {
  const char* place = std::getenv("TMPDIR");
  path_ = std::string(place && *place ? place : "/tmp") + "/potluck-XXXXXX";
  if (path_.size() > kPathMax)
    throw Fault(FaultKind::world,
                "the path of a socket in " + path_ + " would be longer than sockets' paths can be",
                Fix{"set TMPDIR to a shorter one"});
  if (!mkdtemp(path_.data())) failed("make a folder for sockets at " + path_, errno);
  try {
    start_janitor();
  } catch (const Fault&) {
    rmdir(path_.c_str());
    throw;
  }
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  if (alive_ >= 0) close(alive_);
  if (janitor_ > 0) waitpid(janitor_, nullptr, 0);
}

// Where there is no shell, the folder is left behind by a process that is killed.
void PrivateFolder::start_janitor() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) failed("make a pipe", errno);
  alive_ = ends[1];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::string words[] = {"sh", "-c", kScript, path_};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  const int error = posix_spawn(&janitor_, kShell, &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  if (error) janitor_ = -1;
}

}  // namespace potluck
