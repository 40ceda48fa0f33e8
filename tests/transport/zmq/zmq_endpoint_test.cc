// Where a transport may listen, and how it says no.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "tests/transport/zmq/zmq_party.h"
#include "transport/zmq/endpoint.h"

namespace potluck {
namespace {

using testing::HasSubstr;

std::string listen_failure(ZmqParty& party, const std::string& endpoint, FaultKind kind) {
  try {
    party->listen(endpoint);
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), kind) << fault.text();
    return fault.what();
  }
  return "it listens";
}

std::string temporary(const char* name) {
  return testing::TempDir() + "potluck-" + std::to_string(getpid()) + "-" + name;
}

TEST(ZmqEndpoint, TcpNeedsAKeyOrTheWishForPlainLinks) {
  ZmqParty head(kHeadPeer, "head", ZmqOptions{}, {});
  for (const char* endpoint : {"tcp://127.0.0.1:0", "tcp://localhost:0", "tcp://*:0",
                               "tcp://192.0.2.1:7000", "tcp://[2001:db8::1]:7000"}) {
    const std::string why = listen_failure(head, endpoint, FaultKind::input);
    EXPECT_THAT(why, HasSubstr(endpoint));
    EXPECT_THAT(why, HasSubstr("no key to lock its links with"));
    head->connect(stage_peer(0), endpoint);
    EXPECT_THAT(head.expect_down(stage_peer(0)), HasSubstr("plain links were not asked for"));
  }
}

TEST(ZmqEndpoint, PlainLinksAreForAnInterfaceThatIsNamed) {
  ZmqParty head(kHeadPeer, "head");
  for (const char* endpoint : {"tcp://*:0", "tcp://0.0.0.0:*", "tcp://[::]:0"}) {
    const std::string why = listen_failure(head, endpoint, FaultKind::input);
    EXPECT_THAT(why, HasSubstr(endpoint));
    EXPECT_THAT(why, HasSubstr("name the address of the network that you trust"));
  }
}

TEST(ZmqEndpoint, LockedLinksAreForEveryInterface) {
  const LockKeys mine = make_lock_keys(), theirs = make_lock_keys();
  ZmqParty head(kHeadPeer, "head", mine, {{stage_peer(0), {theirs.public_key}}});
  ZmqParty stage(stage_peer(0), "stage 0", theirs);
  const std::string endpoint = head->listen("tcp://*:0");
  ASSERT_THAT(endpoint, testing::StartsWith("tcp://*:"));
  stage->connect(kHeadPeer, {"tcp://127.0.0.1:" + endpoint.substr(8), mine.public_key});
  stage.expect_up(kHeadPeer);
}

TEST(ZmqEndpoint, LoopbackHasMoreThanOneName) {
  ZmqParty head(kHeadPeer, "head");
  PeerId self = stage_peer(0);
  for (const std::string name : {"tcp://127.0.0.1:*", "tcp://localhost:0", "tcp://127.1.2.3:0"}) {
    const std::string endpoint = head->listen(name);
    EXPECT_THAT(endpoint, testing::StartsWith(name.substr(0, name.rfind(':') + 1)));
    ZmqParty stage(self, "stage");
    stage->connect(kHeadPeer, endpoint);
    stage.expect_up(kHeadPeer);
    head.expect_up(self++);
    stage.destroy();
    head.expect_down(static_cast<PeerId>(self - 1));
  }
}

TEST(ZmqEndpoint, AnAddressOfAnotherMachineIsNamed) {
  ZmqParty head(kHeadPeer, "head");
  EXPECT_THAT(listen_failure(head, "tcp://192.0.2.1:7000", FaultKind::world),
              HasSubstr("tcp://192.0.2.1:7000"));
}

TEST(ZmqEndpoint, MalformedOnesSayWhatIsWrong) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"", "neither tcp://"},
      {"7000", "neither tcp://"},
      {"tcp://", "neither tcp://"},
      {"inproc://x", "neither tcp://"},
      {"tcp://127.0.0.1", "neither tcp://"},
      {"tcp://127.0.0.1:", "port \"\""},
      {"tcp://127.0.0.1:70000", "port \"70000\""},
      {"tcp://127.0.0.1:123456789012", "port"},
      {"tcp://127.0.0.1:-1", "port \"-1\""},
      {"tcp://127.0.0.1:80x", "port \"80x\""},
      {"tcp://:7000", "no host"},
      {"tcp://::1:7000", "brackets"},
      {"tcp://a b:7000", "host \"a b\""},
      {"ipc://", "absolute path"},
      {"ipc://relative", "absolute path"},
  };
  for (const auto& [endpoint, why] : cases) {
    try {
      parse_zmq_endpoint(endpoint);
      ADD_FAILURE() << endpoint;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      EXPECT_THAT(fault.text(), HasSubstr("\"" + std::string(endpoint) + "\""));
      EXPECT_THAT(fault.text(), HasSubstr(why));
    }
  }
  const std::string deep = "ipc:///" + std::string(200, 'd');
  EXPECT_THROW(parse_zmq_endpoint(deep), Fault);
}

TEST(ZmqEndpoint, ReadsAddressesOfBothFamilies) {
  const auto resolved = [](const char* endpoint) { return resolve(parse_zmq_endpoint(endpoint)); };
  using testing::ElementsAre;
  EXPECT_THAT(resolved("tcp://[::1]:7"), ElementsAre("tcp://[::1]:7"));
  EXPECT_THAT(resolved("tcp://10.0.0.3:7"), ElementsAre("tcp://10.0.0.3:7"));
  EXPECT_THAT(resolved("tcp://*:*"), ElementsAre("tcp://0.0.0.0:0"));
  EXPECT_THAT(resolved("tcp://localhost:7"), ElementsAre("tcp://127.0.0.1:7", "tcp://[::1]:7"));
  EXPECT_THAT(resolved("tcp://[fe80::3%lo]:7"), ElementsAre("tcp://[fe80::3%lo]:7"));
  EXPECT_THAT(resolved("ipc:///tmp/x"), ElementsAre("ipc:///tmp/x"));
}

TEST(ZmqEndpoint, OnlyNamesNeedANameServer) {
  for (const char* number : {"tcp://10.0.0.3:7", "tcp://[fd00::3]:7", "tcp://[fe80::3%lo]:7",
                             "tcp://localhost:7", "tcp://*:7", "ipc:///tmp/x"})
    EXPECT_FALSE(needs_name_server(parse_zmq_endpoint(number))) << number;
  for (const char* name : {"tcp://spare:7", "tcp://127.example.org:7"})
    EXPECT_TRUE(needs_name_server(parse_zmq_endpoint(name))) << name;
}

TEST(ZmqEndpoint, AddressesOfBothFamiliesTakeTurns) {
  const std::vector<std::string> mixed = {"[fd00::1]", "[fd00::2]", "[fd00::1]",
                                          "10.0.0.1",  "10.0.0.2",  "10.0.0.3"};
  EXPECT_THAT(in_turn(mixed),
              testing::ElementsAre("[fd00::1]", "10.0.0.1", "[fd00::2]", "10.0.0.2", "10.0.0.3"));
  EXPECT_TRUE(in_turn({}).empty());
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back("10.0.0." + std::to_string(i));
  EXPECT_EQ(in_turn(many).size(), kAddressesMax);
}

TEST(ZmqEndpoint, AZoneThatThisMachineLacksIsNamed) {
  try {
    resolve(parse_zmq_endpoint("tcp://[fe80::3%nosuch7]:7"));
    ADD_FAILURE();
  } catch (const Fault& fault) {
    EXPECT_THAT(fault.text(), HasSubstr("this machine has no interface nosuch7"));
  }
}

TEST(ZmqEndpoint, AListenerOfOneFamilyIsFoundByAName) {
  ZmqParty head(kHeadPeer, "head"), stage(stage_peer(0), "stage 0");
  const std::string endpoint = head->listen("tcp://[::1]:0");
  stage->connect(kHeadPeer, "tcp://localhost:" + endpoint.substr(endpoint.rfind(':') + 1));
  stage.expect_up(kHeadPeer);
}

TEST(ZmqEndpoint, TheSocketFileOfADeadProcessIsReplaced) {
  const std::string path = temporary("stale");
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(fd);  // nobody listens there any more, and the file stays
  {
    ZmqParty head(kHeadPeer, "head"), stage(stage_peer(0), "stage 0");
    stage->connect(kHeadPeer, head->listen("ipc://" + path));
    stage.expect_up(kHeadPeer);
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "the socket file is left behind";
}

TEST(ZmqEndpoint, AFileThatIsNoSocketIsLeftAlone) {
  const std::string path = temporary("precious");
  std::ofstream(path) << "data";
  ZmqParty head(kHeadPeer, "head");
  EXPECT_THAT(listen_failure(head, "ipc://" + path, FaultKind::input), HasSubstr(path));
  std::string word;
  std::ifstream(path) >> word;
  EXPECT_EQ(word, "data");
  unlink(path.c_str());
}

TEST(ZmqEndpoint, ATooLongNameIsFoundAtOnce) {
  ZmqParty head(kHeadPeer, "head");
  Identity identity;
  identity.hello.name = std::string(kTextBytesMax + 1, 'n');
  EXPECT_THROW(head->set_identity(identity), Fault);
}

}  // namespace
}  // namespace potluck
