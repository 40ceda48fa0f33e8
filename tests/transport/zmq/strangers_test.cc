// Which strangers have to go, told in made-up time; and that what is severed is what was meant.
#include "transport/zmq/strangers.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/transport/zmq/zmtp_peer.h"

namespace potluck {
namespace {

using Fds = std::vector<int>;

class StrangersTest : public testing::Test {
 protected:
  void accept(int fd, double at, const std::string& host = "10.0.0.9") {
    strangers_.add(Time{} + from_seconds(at), {fd, static_cast<uint64_t>(fd) + 1000}, host);
  }
  Fds surplus(double at, std::map<int, uint64_t> received = {}) {
    Fds fds;
    for (const SocketId& each :
         strangers_.surplus(Time{} + from_seconds(at), [&](int fd) { return received[fd]; })) {
      EXPECT_EQ(each.inode, static_cast<uint64_t>(each.fd) + 1000);
      fds.push_back(each.fd);
    }
    return fds;
  }

  Strangers strangers_;
};

TEST_F(StrangersTest, WhoSaysNothingForTenSecondsGoes) {
  accept(5, 0);
  accept(6, 4);
  EXPECT_EQ(surplus(10), Fds{});
  EXPECT_EQ(surplus(10.1), Fds{5});
  EXPECT_EQ(surplus(10.2), Fds{});  // named once
  EXPECT_EQ(surplus(14.1), Fds{6});
}

TEST_F(StrangersTest, WhoSendsMoreThanAHelloGoes) {
  accept(5, 0);
  accept(6, 0);
  EXPECT_EQ(surplus(1, {{5, kStrangerBytesMax}, {6, kStrangerBytesMax + 1}}), Fds{6});
}

TEST_F(StrangersTest, OfTooManyTheOldestOfTheBusiestHostGoes) {
  accept(1, 0, "10.0.0.1");  // older than all of the crowd
  const int most = static_cast<int>(kStrangersMax);
  for (int fd = 10; fd < 10 + most - 1; ++fd) accept(fd, 1 + fd / 1000.0);
  EXPECT_EQ(surplus(2), Fds{});
  accept(500, 2);
  accept(501, 2, "10.0.0.2");
  EXPECT_EQ(surplus(2), (Fds{10, 11}));
  EXPECT_EQ(surplus(2), Fds{});
}

TEST_F(StrangersTest, WhoHasSaidSomethingOrEndedIsNoneAnyMore) {
  accept(5, 0);
  accept(6, 0);
  strangers_.end(Time{} + from_seconds(3), 6);
  EXPECT_EQ(strangers_.extract(5)->socket.fd, 5);
  EXPECT_FALSE(strangers_.extract(5));
  EXPECT_EQ(surplus(20), Fds{});
  EXPECT_EQ(strangers_.forget(Time{} + from_seconds(3)), 0u);
  EXPECT_EQ(strangers_.forget(Time{} + from_seconds(4)), 1u);
  EXPECT_FALSE(strangers_.oldest());
}

TEST_F(StrangersTest, TheOldestIsNamedOnce) {
  accept(5, 2);
  accept(6, 1);
  EXPECT_EQ(strangers_.oldest()->fd, 6);
  EXPECT_EQ(strangers_.oldest()->fd, 5);
  EXPECT_FALSE(strangers_.oldest());
}

bool has_ended(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

TEST(SevererTest, EndsTheConnectionThatWasMeantAndNoOther) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Severer severer;
  const SocketId id = socket_id(ends[0]);
  severer.sever({id.fd, id.inode + 1});  // the number is another's by now
  EXPECT_FALSE(has_ended(ends[1]));
  severer.sever(id);
  EXPECT_TRUE(has_ended(ends[1]));
  close(ends[0]);
  severer.sever(id);  // closed: nothing
  close(ends[1]);
}

TEST(SevererTest, TurnsAwayWhoWaitsAtAListener) {
  TcpListener listener;
  ZmtpPeer caller(listener.endpoint());
  const int fd = listener.release();
  Severer severer;
  EXPECT_TRUE(severer.turn_away(fd));
  EXPECT_FALSE(caller.receive());
  close(fd);
}

}  // namespace
}  // namespace potluck
