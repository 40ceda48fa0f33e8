// One dial of several addresses: who is not there, who is silent, and what is said of them.
#include "transport/zmq/dial.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace potluck {
namespace {

using testing::HasSubstr;

// A port of one address of loopback, which listens when it is told to. One that is deaf is full: it
// takes no further connection, and refuses none.
class Port final {
 public:
  explicit Port(const std::string& host, uint16_t number = 0)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(number);
    inet_pton(AF_INET, host.c_str(), &address_.sin_addr);
    EXPECT_EQ(bind(fd_, any(), sizeof(address_)), 0) << host;
    socklen_t size = sizeof(address_);
    getsockname(fd_, any(), &size);
  }
  ~Port() {
    for (int call : calls_) close(call);
    close(fd_);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  void listen() { ::listen(fd_, 16); }
  void be_deaf() {
    ::listen(fd_, 0);
    for (int i = 0; i < 4; ++i) {
      calls_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      connect(calls_.back(), any(), sizeof(address_));
    }
  }
  uint16_t number() const { return ntohs(address_.sin_port); }

 private:
  sockaddr* any() { return reinterpret_cast<sockaddr*>(&address_); }
  sockaddr_in address_{};
  int fd_;
  std::vector<int> calls_;
};

// Addresses 127.0.0.1, 127.0.0.2, … of one port.
class DialTest : public testing::Test {
 protected:
  DialTest() : first_("127.0.0.1"), second_("127.0.0.2", first_.number()) {}

  std::string at(int last) const {
    return "tcp://127.0.0." + std::to_string(last) + ":" + std::to_string(first_.number());
  }
  void dial(std::vector<std::string> addresses) {
    dial_.emplace(std::move(addresses), [this] {
      return std::make_unique<ZmqSocket>(context_, zmq::socket_type::dealer);
    });
  }
  // Until the dial is over; false: all have failed.
  bool connects(double patience = 20) {
    const Time deadline = now() + from_seconds(patience);
    while (!dial_->failed() && now() < deadline) {
      if (const auto connected = dial_->advance(now())) return peer_of(connected->fd);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  bool peer_of(int fd) {
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    EXPECT_EQ(getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size), 0);
    char text[INET_ADDRSTRLEN];
    reached_ = inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text));
    return true;
  }

  Port first_, second_;
  zmq::context_t context_;
  std::optional<Dial> dial_;
  std::string reached_;
};

TEST_F(DialTest, TheFirstAddressIsTakenWhereAllAreThere) {
  first_.listen();
  second_.listen();
  dial({at(1), at(2)});
  EXPECT_TRUE(connects());
  EXPECT_EQ(reached_, "127.0.0.1");
}

TEST_F(DialTest, AnAddressThatRefusesIsPassedOver) {
  second_.listen();
  dial({at(1), at(3), at(2)});
  EXPECT_TRUE(connects());
  EXPECT_EQ(reached_, "127.0.0.2");
}

TEST_F(DialTest, AnAddressThatDoesNotAnswerIsNotWaitedFor) {
  first_.be_deaf();
  second_.listen();
  dial({at(1), at(2)});
  EXPECT_TRUE(connects());
  EXPECT_EQ(reached_, "127.0.0.2");
}

TEST_F(DialTest, WhoComesLateIsFoundBesideWhoDoesNotAnswer) {
  first_.be_deaf();
  dial({at(1), at(2)});
  EXPECT_FALSE(connects(1));
  EXPECT_FALSE(dial_->failed());
  EXPECT_THAT(dial_->trouble(), HasSubstr("127.0.0.1 did not answer, 127.0.0.2 refused the"));
  second_.listen();
  EXPECT_TRUE(connects());
  EXPECT_EQ(reached_, "127.0.0.2");
}

TEST_F(DialTest, WhereAllFailItIsSaidOfEach) {
  dial({at(1), "tcp://224.0.0.1:7000", at(3)});
  EXPECT_FALSE(connects());
  EXPECT_TRUE(dial_->failed());
  EXPECT_EQ(dial_->trouble(),
            "127.0.0.1 refused the connection, 224.0.0.1 was not reached: Network is unreachable, "
            "127.0.0.3 refused the connection; see that potluck runs and listens there, and that "
            "TCP port " +
                std::to_string(first_.number()) + " of its machine is open to this one");
}

TEST_F(DialTest, WithoutARouteNoPortNeedsToBeOpened) {
  dial({"tcp://224.0.0.1:7000"});
  EXPECT_FALSE(connects());
  EXPECT_THAT(dial_->trouble(), HasSubstr("see that this machine has an address in its network"));
}

TEST_F(DialTest, ASocketFileHasNoAddressToTell) {
  dial({"ipc:///nowhere/at/all"});
  EXPECT_FALSE(connects());
  EXPECT_TRUE(dial_->failed());
  EXPECT_EQ(dial_->trouble(), "");
}

TEST_F(DialTest, WithoutADescriptorItFailsAndSaysSo) {
  dial_.emplace(std::vector<std::string>{at(1)}, []() -> std::unique_ptr<ZmqSocket> {
    throw std::runtime_error("Too many open files");
  });
  EXPECT_FALSE(connects());
  EXPECT_THAT(dial_->trouble(), HasSubstr("127.0.0.1 was not dialed: Too many open files"));
}

}  // namespace
}  // namespace potluck
