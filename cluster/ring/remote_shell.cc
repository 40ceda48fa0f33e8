// Puts words together for ssh, and reads from its exit code what went wrong.
#include "cluster/ring/remote_shell.h"

#include <fmt/format.h>

namespace potluck {
namespace {

constexpr char kPlainLetters[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._/:@%+=,";
constexpr int kSshFailed = 255, kNotFound = 127, kNotRunnable = 126;  // exit codes
constexpr int kSshConnectSeconds = 10;

// A command in ssh's place that is missing here is no program that is missing there.
const std::string kIsThere =
    "is_there() { command -v \"$1\" >/dev/null && return; echo \"$1: not found\" >&2; exit 255; }; "
    "is_there ";

std::string behind(const std::string& text, const std::string& words) {
  return words.empty() ? text : text + ": " + words;
}

}  // namespace

std::string shell_word(const std::string& word) {
  if (!word.empty() && word.find_first_not_of(kPlainLetters) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char letter : word)
    quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return quoted + "'";
}

std::unique_ptr<ChildProcess> RemoteShell::start(const std::string& host,
                                                 const std::vector<std::string>& words) const {
  if (host.empty() || host[0] == '-')
    throw Fault(FaultKind::input, "\"" + host + "\" is no host that ssh could reach");
  std::vector<std::string> all = {"ssh", "-T",
                                  "-o",  "BatchMode=yes",
                                  "-o",  fmt::format("ConnectTimeout={}", kSshConnectSeconds),
                                  "-o",  "ServerAliveInterval=5",
                                  "-o",  "ServerAliveCountMax=3",
                                  "--",  host};
  if (!command_.empty())
    all = {"sh", "-c", kIsThere + command_ + "; exec " + command_ + " \"$@\"", "sh", host};
  for (const std::string& word : words) all.push_back(shell_word(word));
  const std::string program = all.front();
  return std::make_unique<ChildProcess>(program, std::move(all));
}

Fault RemoteShell::failure(const std::string& host, const std::vector<std::string>& words,
                           ChildProcess& child) const {
  const std::string said = child.last_words();
  const std::string called = command_.empty() ? "ssh" : command_;
  if (!child.has_ended())
    return Fault(FaultKind::world,
                 behind(fmt::format("{} on {} says nothing", words.front(), host), said),
                 Fix{fmt::format("see that the host is not busy or out of memory, and what `{} {} "
                                 "{} --version` says",
                                 called, host, words.front())});
  if (child.code() == kSshFailed)
    return Fault(FaultKind::world, behind(called + " does not reach " + host, said),
                 Fix{fmt::format("see that `{} {} true` works without a question (ssh-copy-id {}, "
                                 "or a line for it in ~/.ssh/config)",
                                 called, host, host)});
  if (child.code() == kNotFound || child.code() == kNotRunnable)
    return Fault(
        FaultKind::world, behind(host + " has no " + words.front(), said),
        Fix{"install the same version of potluck there, or say with program: where it is"});
  return Fault(FaultKind::world,
               behind(fmt::format("{} on {} {}", words.front(), host, child.ending()), said));
}

}  // namespace potluck
