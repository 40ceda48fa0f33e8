// Commands reach a host as they were given, and what keeps them from it is said with a way out.
#include "cluster/ring/remote_shell.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

// An agent as rsh is one: it joins the words behind the host, and has a shell read them.
constexpr char kAgent[] = "sh -c 'HOST=$0; export HOST; exec sh -c \"$*\"'";

Time in_20_seconds() {
  return now() + from_seconds(20);
}

std::string failure_of(const std::string& command, const std::string& host,
                       const std::vector<std::string>& words) {
  const RemoteShell shell(command);
  const auto child = shell.start(host, words);
  EXPECT_TRUE(child->wait_until(in_20_seconds()));
  return shell.failure(host, words, *child).what();
}

TEST(RemoteShell, WordsArriveAsTheyWereGivenWhateverTheyHold) {
  const std::vector<std::string> words = {"a b", "$HOME", "it's", "", "x;y", "*", "plain-1.5/z"};
  std::vector<std::string> all = {"printf", "<%s>"};
  all.insert(all.end(), words.begin(), words.end());
  const auto child = RemoteShell(kAgent).start("nas", all);
  EXPECT_EQ(child->rest(in_20_seconds(), 1000), "<a b><$HOME><it's><><x;y><*><plain-1.5/z>");
}

TEST(RemoteShell, TheHostIsTheFirstWordOfTheCommand) {
  const auto child = RemoteShell(kAgent).start("me@nas", {"printenv", "HOST"});
  EXPECT_EQ(child->rest(in_20_seconds(), 1000), "me@nas\n");
}

TEST(RemoteShell, AHostThatWouldBeAFlagIsRefused) {
  EXPECT_THROW(RemoteShell().start("-oProxyCommand=true", {"true"}), Fault);
  EXPECT_THROW(RemoteShell(kAgent).start("", {"true"}), Fault);
}

TEST(RemoteShell, EachFailureNamesTheHostAndAWayOut) {
  EXPECT_EQ(failure_of("sh -c 'echo no route to nas >&2; exit 255'", "nas", {"potluck"}),
            "sh -c 'echo no route to nas >&2; exit 255' does not reach nas: no route to nas; see "
            "that `sh -c 'echo no route to nas >&2; exit 255' nas true` works without a question "
            "(ssh-copy-id nas, or a line for it in ~/.ssh/config)");
  EXPECT_EQ(failure_of("/no/agent -p 22", "nas", {"potluck"}),
            "/no/agent -p 22 does not reach nas: /no/agent: not found; see that `/no/agent -p 22 "
            "nas true` works without a question (ssh-copy-id nas, or a line for it in "
            "~/.ssh/config)");
  EXPECT_EQ(failure_of("sh -c 'echo not found >&2; exit 127'", "nas", {"potluck", "worker"}),
            "nas has no potluck: not found; install the same version of potluck there, or say with "
            "program: where it is");
  EXPECT_EQ(failure_of("sh -c 'echo bad plan >&2; exit 2'", "nas", {"potluck", "worker"}),
            "potluck on nas ended with code 2: bad plan");
}

TEST(RemoteShell, ACommandThatSaysNothingIsNamed) {
  const RemoteShell shell(kAgent);
  const auto child = shell.start("nas", {"cat"});
  EXPECT_FALSE(child->line(now() + from_seconds(0.05)));
  EXPECT_NE(
      std::string(shell.failure("nas", {"cat"}, *child).what()).find("cat on nas says nothing"),
      std::string::npos);
}

}  // namespace
}  // namespace potluck
