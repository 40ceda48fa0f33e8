// A pipe that is read late: a connection has ended by then, and the next one has its descriptor.
#include "transport/zmq/zmq_pipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "tests/transport/zmq/zmq_party.h"
#include "tests/transport/zmq/zmtp_peer.h"

namespace potluck {
namespace {

class Recorder final : public PipeEvents {
 public:
  void called(ConnectionId connection, Caller) override { callers.push_back(connection); }
  void locked_out(const Caller&) override {}
  void connected(ConnectionId) override {}
  void arrived(ConnectionId connection, const void* header, size_t bytes, Payload) override {
    words[connection] += std::string(static_cast<const char*>(header), bytes);
  }
  void broken(ConnectionId, const std::string&) override {}
  void hung_up(ConnectionId connection) override { over.insert(connection); }
  void ended(ConnectionId connection) override { over.insert(connection); }
  void failing(ConnectionId, const std::string&) override {}
  void unreachable(ConnectionId, const std::string&) override {}

  std::vector<ConnectionId> callers;
  std::map<ConnectionId, std::string> words;
  std::set<ConnectionId> over;
};

class ZmqPipeTest : public testing::Test {
 protected:
  // Before anything is read, one has said "earlier" and hung up, and another has called since.
  void SetUp() override {
    auto earlier = std::make_unique<ZmtpPeer>(endpoint_);
    ASSERT_TRUE(earlier->shake_hands("DEALER"));
    earlier->send({"earlier"});
    earlier.reset();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // libzmq closes its end
    later_ = std::make_unique<ZmtpPeer>(endpoint_);
    ASSERT_TRUE(later_->shake_hands("DEALER"));
  }
  // False: it never was.
  bool read_until(const std::function<bool()>& is_so) {
    const Time deadline = now() + from_seconds(kPatienceSeconds);
    while (!is_so() && now() < deadline) read();
    return is_so();
  }
  void read() {
    pipe_.wait(now() + from_seconds(0.005));
    pipe_.read(events_);
  }
  bool has_said(const std::string& what) const { return by(what) != 0; }
  ConnectionId by(const std::string& what) const {
    const auto found = std::find_if(events_.words.begin(), events_.words.end(),
                                    [&](const auto& each) { return each.second == what; });
    return found == events_.words.end() ? 0 : found->first;
  }
  void answer(ConnectionId connection) {
    Frames frames;
    frames.header.resize(6);
    std::memcpy(frames.header.data(), "answer", 6);
    pipe_.send(connection, std::move(frames));
  }
  // The later one floods, and is cut off for it.
  void flood() {
    std::string frames;
    for (int i = 0; i < 100000; ++i) frames += zmtp_frame("", true);
    later_->write(frames);
    std::atomic<bool> is_cut_off{false};
    std::thread waiting([&] {
      while (later_->receive()) {
      }
      is_cut_off = true;
    });
    EXPECT_TRUE(read_until([&] { return is_cut_off.load(); }));
    later_->hang_up();
    waiting.join();
  }

  ZmqPipe pipe_{{}, true};
  const std::string endpoint_ = pipe_.listen("tcp://127.0.0.1:*");
  std::unique_ptr<ZmtpPeer> later_;
  Recorder events_;
};

TEST_F(ZmqPipeTest, TheLastWordsOfOneThatIsGoneEndNoOther) {
  ASSERT_TRUE(read_until([&] { return has_said("earlier"); }));
  later_->send({"later"});
  ASSERT_TRUE(read_until([&] { return has_said("later"); }));
  EXPECT_NE(by("later"), by("earlier"));
  for (const Time end = now() + from_seconds(0.2); now() < end;) read();
  EXPECT_FALSE(events_.over.count(by("later")));
  answer(by("later"));
  EXPECT_EQ(later_->receive(), std::vector<std::string>{"answer"});
}

TEST_F(ZmqPipeTest, WhoHasTheDescriptorOfOneThatIsGoneIsCutOffAsAnyStranger) {
  ASSERT_TRUE(read_until([&] { return has_said("earlier"); }));
  answer(by("earlier"));
  ASSERT_TRUE(read_until([&] { return events_.over.count(by("earlier")) > 0; }));
  flood();
}

TEST_F(ZmqPipeTest, WhoIsTakenForOneThatWasHungUpOnIsCutOffToo) {
  ASSERT_TRUE(read_until([&] { return has_said("earlier"); }));
  pipe_.hang_up(by("earlier"), 3600);
  flood();
}

}  // namespace
}  // namespace potluck
