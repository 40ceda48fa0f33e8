// Links over time: peers that stop, die, are slow, late, or never come.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "tests/transport/zmq/zmq_party.h"
#include "tests/transport/zmq/zmtp_peer.h"
#include "transport/wire/wire.h"

namespace potluck {
namespace {

using testing::HasSubstr;

constexpr PeerId kStage = stage_peer(0);

// A process with a stage that dials a port given later, and then computes for ever. Made before
// this process has threads.
class StageProcess final {
 public:
  StageProcess() {
    if (pipe(pipe_) != 0) return;
    pid_ = fork();
    if (pid_ != 0) return;
    char endpoint[128] = {};
    if (read(pipe_[0], endpoint, sizeof(endpoint) - 1) <= 0) _exit(1);
    ZmqParty stage(kStage, "stage 0");
    stage->connect(kHeadPeer, endpoint);
    for (;;) pause();
  }
  ~StageProcess() {
    signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(pipe_[0]);
    close(pipe_[1]);
  }
  StageProcess(const StageProcess&) = delete;
  StageProcess& operator=(const StageProcess&) = delete;
  void dial(const std::string& endpoint) const {
    ASSERT_EQ(write(pipe_[1], endpoint.data(), endpoint.size()),
              static_cast<ssize_t>(endpoint.size()));
  }
  void signal(int number) const { kill(pid_, number); }

 private:
  int pipe_[2] = {-1, -1};
  pid_t pid_ = -1;
};

std::string socket_path(const char* name) {
  return testing::TempDir() + "potluck-" + std::to_string(getpid()) + "-" + name;
}

TEST(ZmqLife, AKilledPeerIsDown) {
  for (const bool over_ipc : {false, true}) {
    SCOPED_TRACE(over_ipc);
    const StageProcess process;
    ZmqParty head(kHeadPeer, "head");
    process.dial(head->listen(over_ipc ? "ipc://" + socket_path("kill") : "tcp://127.0.0.1:0"));
    head.expect_up(kStage);
    process.signal(SIGKILL);
    EXPECT_EQ(head.expect_down(kStage), "closed by peer");
  }
}

TEST(ZmqLife, AStoppedProcessIsSilentAndSaysSoWhenItGoesOn) {
  const StageProcess process;
  ZmqParty head(kHeadPeer, "head");
  process.dial(head->listen("tcp://127.0.0.1:0"));
  head.expect_up(kStage);
  head.expect_silence(1.5 * kSilenceSeconds);  // computing is not silence
  process.signal(SIGSTOP);
  EXPECT_EQ(head.expect_down(kStage), "silent for 2.0 s");
  process.signal(SIGCONT);
  head.expect_silence();
}

TEST(ZmqLife, APeerWithoutHeartbeatsIsSilentToTheDialerToo) {
  TcpListener listener;
  ZmqParty stage(kStage, "stage 0");
  stage->connect(kHeadPeer, listener.endpoint());
  ZmtpPeer raw(listener.accept());
  ASSERT_TRUE(raw.shake_hands("ROUTER"));
  raw.send(hello_message(kHeadPeer));
  stage.expect_up(kHeadPeer);
  EXPECT_EQ(stage.expect_down(kHeadPeer), "silent for 2.0 s");
  EXPECT_EQ(raw.receive_message()->header.kind, MessageKind::hello);
  EXPECT_EQ(raw.receive_message()->fault->what, "silent for 2.0 s");
}

TEST(ZmqLife, ALongMessageOnASlowLineIsNotSilence) {
  ZmqParty head(kHeadPeer, "head");
  ZmtpPeer raw(head->listen("tcp://127.0.0.1:0"));
  ASSERT_TRUE(raw.shake_hands("DEALER"));
  raw.send(hello_message(kStage));
  head.expect_up(kStage);
  Message message = number_message(kHeadPeer, 1);
  message.payload = own_payload(std::vector<std::byte>(400000));
  message.header.digest = digest_bytes(message.payload.data, message.payload.bytes);
  const std::vector<std::byte> header = encode_header(message);
  const std::string text(reinterpret_cast<const char*>(header.data()), header.size());
  const std::string all = zmtp_frame(text, true) + zmtp_frame(std::string(400000, '\0'));
  constexpr int kPieces = 20;
  const size_t piece = all.size() / kPieces + 1;
  for (size_t at = 0; at < all.size(); at += piece) {
    raw.write(all.substr(at, piece));
    std::this_thread::sleep_for(from_seconds(2 * kSilenceSeconds / kPieces));
  }
  EXPECT_EQ(head.expect_message(kStage).payload.bytes, 400000u);
}

TEST(ZmqLife, ALateListenerIsFound) {
  TcpListener port;  // one that is free, in a moment
  const std::string endpoint = port.endpoint();
  ::close(port.release());
  ZmqParty stage(kStage, "stage 0"), head(kHeadPeer, "head");
  stage->connect(kHeadPeer, endpoint);
  stage.expect_silence(0.4);
  EXPECT_EQ(head->listen(endpoint), endpoint);
  stage.expect_up(kHeadPeer);
  head.expect_up(kStage);
}

TEST(ZmqLife, WhoNeverAnswersIsReportedWithWhatWasTried) {
  TcpListener mute;
  ZmqParty stage(kStage, "stage 0");
  stage->connect(kHeadPeer, mute.endpoint());
  stage->connect(stage_peer(1), "ipc:///nonexistent/potluck.socket");
  std::string reasons;
  for (int i = 0; i < 2; ++i) {
    const auto event = (*stage).wait(now() + from_seconds(kPatienceSeconds));
    ASSERT_TRUE(event && event->kind == Event::Kind::down);
    reasons += event->reason + "\n";
  }
  EXPECT_THAT(reasons, HasSubstr(mute.endpoint() + " takes connections but said no hello"));
  EXPECT_THAT(reasons, HasSubstr("no answer at ipc:///nonexistent/potluck.socket in "));
}

TEST(ZmqLife, EndpointsThatCannotBeAreDown) {
  ZmqParty stage(kStage, "stage 0");
  for (const char* endpoint : {"http://127.0.0.1:80", "tcp://127.0.0.1:99999", "tcp://no port"}) {
    stage->connect(kHeadPeer, endpoint);
    EXPECT_THAT(stage.expect_down(kHeadPeer), HasSubstr(endpoint));
  }
  stage->connect(kHeadPeer, "tcp://no-such-host.invalid:7000");
  EXPECT_THAT(stage.expect_down(kHeadPeer), HasSubstr("no-such-host.invalid"));
}

TEST(ZmqLife, DestructionDoesNotWaitForAPeerThatDoesNotRead) {
  ZmqParty head(kHeadPeer, "head");
  ZmtpPeer raw(head->listen("tcp://127.0.0.1:0"));
  ASSERT_TRUE(raw.shake_hands("DEALER"));
  raw.send(hello_message(kStage));
  head.expect_up(kStage);
  for (uint64_t i = 0; i < 10; ++i) {
    Message message = number_message(kStage, i);
    message.payload = own_payload(std::vector<std::byte>(10'000'000));
    head->send(std::move(message));
  }
  head.destroy();  // ctest's limit is the judge
}

TEST(ZmqLife, DestructionWhileDialingEnds) {
  TcpListener mute;
  ZmqParty stage(kStage, "stage 0");
  stage->connect(kHeadPeer, mute.endpoint());
  stage->send(number_message(kHeadPeer, 1));
  stage->connect(stage_peer(1), "tcp://no-such-host.invalid:1");
}

TEST(ZmqLife, APeerThatRestartsAtOnceIsTakenBack) {
  ZmqParty head(kHeadPeer, "head");
  const std::string endpoint = head->listen("tcp://127.0.0.1:0");
  for (int round = 0; round < 20; ++round) {
    auto raw = std::make_unique<ZmtpPeer>(endpoint);
    ASSERT_TRUE(raw->shake_hands("DEALER"));
    raw->send(hello_message(kStage));
    head.expect_up(kStage);
    raw.reset();  // as a killed process: without a goodbye; and the next comes at once
    raw = std::make_unique<ZmtpPeer>(endpoint);
    ASSERT_TRUE(raw->shake_hands("DEALER"));
    raw->send(hello_message(kStage));
    EXPECT_EQ(head.expect_down(kStage), "closed by peer");
    head.expect_up(kStage);
    raw.reset();
    EXPECT_EQ(head.expect_down(kStage), "closed by peer");
  }
}

}  // namespace
}  // namespace potluck
