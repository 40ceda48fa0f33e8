// Calls and answers between clients and a server, over real sockets; and callers that mean harm.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <future>

#include "transport/control/control_client.h"
#include "transport/control/control_server.h"
#include "transport/zmq/zmq.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr double kPatience = 20;

Time soon() {
  return now() + from_seconds(kPatience);
}

// A server of a few verbs, turned by a thread until the test is over.
class ControlTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/control-XXXXXX";
    folder_ = mkdtemp(path);
  }
  void TearDown() override {
    over_ = true;
    if (turning_.valid()) turning_.get();
    server_.reset();
    EXPECT_TRUE(std::filesystem::is_empty(folder_));  // no socket file is left
    std::filesystem::remove_all(folder_);
  }

  // Starts to listen at both, and to serve.
  void serve(std::set<std::string> allowed = {}) {
    server_ = std::make_unique<ControlServer>(ControlServerOptions{[this] { return own_; }, {}});
    server_->allow(std::move(allowed));
    server_->on("echo", ControlCallers::known, [](std::shared_ptr<ControlCall> call) {
      call->reply({{"said", call->body()}, {"key", call->key()}}, call->bytes());
    });
    server_->on("count", ControlCallers::known, [](std::shared_ptr<ControlCall> call) {
      for (int i = 0; i < 3; ++i) call->event({{"number", i}});
      call->reply({{"numbers", 3}});
    });
    server_->on("refuse", ControlCallers::known, [](std::shared_ptr<ControlCall>) {
      throw Fault(FaultKind::memory, "too large", Fix{"take less", Setting::context}, "here");
    });
    server_->on("much", ControlCallers::known, [](std::shared_ptr<ControlCall> call) {
      call->reply({{"text", std::string(kControlTextMax, 'x')}});
    });
    server_->on("forget", ControlCallers::known, [](std::shared_ptr<ControlCall>) {});
    server_->on("hold", ControlCallers::known, [this](std::shared_ptr<ControlCall> call) {
      call->when_canceled([this] { ++canceled_; });
      call->event({{"held", true}});
      held_.push_back(std::move(call));
    });
    server_->when_gone([this](ConnectionId) { ++gone_; });
    server_->on("join", ControlCallers::anyone, [](std::shared_ptr<ControlCall> call) {
      call->reply({{"key", call->key()}});
    });
    local_ = server_->listen("ipc://" + folder_ + "/socket");
    remote_ = server_->listen("tcp://127.0.0.1:*");
    turning_ = std::async(std::launch::async, [this] {
      while (!over_) server_->serve(now() + from_seconds(0.02));
      held_.clear();
    });
  }

  ControlClient local() { return {local_, {}}; }
  ControlClient remote(const LockKeys& keys) {
    return {Address(remote_, own_.public_key), [keys] { return keys; }};
  }
  static std::string fault_text(ControlClient& client, const std::string& verb,
                                const Json& body = Json::object()) {
    try {
      client.ask(verb, body, kPatience);
      return "no fault";
    } catch (const Fault& fault) {
      return fault.what();
    }
  }

  const LockKeys own_ = make_lock_keys(), friend_ = make_lock_keys(), other_ = make_lock_keys();
  std::string folder_, local_, remote_;
  std::unique_ptr<ControlServer> server_;
  std::vector<std::shared_ptr<ControlCall>> held_;
  std::atomic<int> canceled_ = 0, gone_ = 0;
  std::atomic<bool> over_ = false;
  std::future<void> turning_;
};

TEST_F(ControlTest, ALocalCallIsAnsweredWithItsBytes) {
  serve();
  ControlClient client = local();
  const std::string bytes("\0\1\2ÿ", 4);
  const uint64_t call = client.call("echo", {{"x", 1}}, bytes);
  const auto reply = client.wait(soon());
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->call, call);
  EXPECT_EQ(reply->kind, ControlMessage::Kind::reply);
  EXPECT_EQ(reply->body, (Json{{"said", {{"x", 1}}}, {"key", ""}}));
  EXPECT_EQ(reply->bytes, bytes);
}

TEST_F(ControlTest, EventsComeBeforeTheReplyInOrder) {
  serve();
  ControlClient client = local();
  client.call("count", Json::object());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.wait(soon())->body, (Json{{"number", i}}));
  EXPECT_EQ(client.wait(soon())->body, (Json{{"numbers", 3}}));
}

TEST_F(ControlTest, AFaultArrivesAsItWasThrown) {
  serve();
  ControlClient client = local();
  try {
    client.ask("refuse", Json::object(), kPatience);
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::memory);
    EXPECT_STREQ(fault.what(), "here: too large; take less");
    EXPECT_EQ(fault.fix().setting, Setting::context);
  }
}

TEST_F(ControlTest, WhatCannotBeAnsweredIsSaid) {
  serve();
  ControlClient client = local();
  EXPECT_EQ(fault_text(client, "forget"),
            "whoever was asked ended before there was an answer; see that it runs, and ask again");
  EXPECT_NE(fault_text(client, "dance").find("there does not know what was asked of it"),
            std::string::npos);
}

TEST_F(ControlTest, OverTcpTheKeySaysWhoMayAskForWhat) {
  serve({friend_.public_key});
  ControlClient known = remote(friend_), stranger = remote(other_), own = remote(own_);
  EXPECT_EQ(known.ask("echo", Json::object(), kPatience).body["key"], friend_.public_key);
  EXPECT_EQ(own.ask("echo", Json::object(), kPatience).body["key"], own_.public_key);
  EXPECT_EQ(
      fault_text(stranger, "echo"),
      "the key " + other_.public_key + " may not ask for this; on that machine, let it in first");
  EXPECT_EQ(stranger.ask("join", Json::object(), kPatience).body["key"], other_.public_key);
}

TEST_F(ControlTest, WhereEveryVerbIsForKnownKeysAStrangerDoesNotGetInAtAll) {
  server_ = std::make_unique<ControlServer>(ControlServerOptions{[this] { return own_; }, {}});
  server_->on("echo", ControlCallers::known,
              [](std::shared_ptr<ControlCall> call) { call->reply(Json::object()); });
  remote_ = server_->listen("tcp://127.0.0.1:*");
  turning_ = std::async(std::launch::async, [this] {
    while (!over_) server_->serve(now() + from_seconds(0.02));
  });
  ControlClient stranger = remote(other_);
  EXPECT_NE(fault_text(stranger, "echo").find("takes no calls by this machine's key"),
            std::string::npos);
}

TEST_F(ControlTest, AClientThatExpectsAnotherKeyReachesNobody) {
  serve({friend_.public_key});
  ControlClient client({remote_, other_.public_key}, [this] { return friend_; });
  EXPECT_NE(fault_text(client, "echo").find("no link to "), std::string::npos);
}

TEST_F(ControlTest, ACanceledCallIsTold) {
  serve();
  ControlClient client = local();
  const uint64_t call = client.call("hold", Json::object());
  ASSERT_TRUE(client.wait(soon()));
  client.cancel(call);
  client.ask("count", Json::object(), kPatience);  // and the channel goes on
  EXPECT_EQ(canceled_, 1);
}

TEST_F(ControlTest, AClientThatGoesCancelsItsCalls) {
  serve();
  {
    ControlClient client = local();
    client.call("hold", Json::object());
    client.call("hold", Json::object());
    ASSERT_TRUE(client.wait(soon()) && client.wait(soon()));
  }
  for (const Time end = soon(); gone_ == 0 && now() < end;)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(canceled_, 2);
  EXPECT_EQ(gone_, 1);
}

TEST_F(ControlTest, MoreCallsAtOnceThanAClientMayHaveAreRefused) {
  serve();
  ControlClient client = local();
  for (size_t i = 0; i < kControlCallsMax; ++i) {
    client.call("hold", Json::object());
    ASSERT_TRUE(client.wait(soon()));
  }
  EXPECT_EQ(fault_text(client, "hold"), "too much is asked at once; wait for an answer");
}

TEST_F(ControlTest, AServerThatIsNotThereAndOneThatGoesAreFaults) {
  serve();
  ControlClient early("ipc://" + folder_ + "/nobody", {}), late = local();
  EXPECT_NE(fault_text(early, "echo").find("no link to "), std::string::npos);
  late.ask("echo", Json::object(), kPatience);
  over_ = true;
  turning_.get();
  server_.reset();
  EXPECT_NE(fault_text(late, "echo").find("it has hung up"), std::string::npos);
}

// A connection that sends frames of its own making.
class Garbler final : private PipeEvents {
 public:
  explicit Garbler(const std::string& endpoint) : pipe_(make_zmq_pipe({})) {
    connection_ = pipe_->dial(endpoint);
  }
  void send(const std::string& text, size_t payload = 0) {
    Frames frames;
    for (const char letter : text) frames.header.push_back(static_cast<std::byte>(letter));
    if (payload) frames.payload = own_payload(std::vector<std::byte>(payload));
    pipe_->send(connection_, std::move(frames));
  }
  void turn() {
    pipe_->wait(now() + from_seconds(0.005));
    pipe_->read(*this);
  }
  bool has_ended() const { return ended_; }
  const std::string& answer() const { return answer_; }

 private:
  void called(ConnectionId, Caller) override {}
  void locked_out(const Caller&) override {}
  void connected(ConnectionId) override {}
  void arrived(ConnectionId, const void* header, size_t bytes, Payload) override {
    answer_.assign(static_cast<const char*>(header), bytes);
  }
  void broken(ConnectionId, const std::string&) override {}
  void hung_up(ConnectionId) override {}
  void ended(ConnectionId) override { ended_ = true; }
  void failing(ConnectionId, const std::string&) override {}
  void unreachable(ConnectionId, const std::string&) override { ended_ = true; }

  std::unique_ptr<Pipe> pipe_;
  ConnectionId connection_ = 0;
  std::string answer_;
  bool ended_ = false;
};

TEST_F(ControlTest, GarbageEndsItsOwnConnectionAlone) {
  serve();
  ControlClient client = local();
  const std::string begin = R"({"control":2,"software":"x","kind":"call","call":1,"verb":"echo",)";
  const struct {
    std::string text, answered;
    size_t payload = 0;
  } cases[] = {
      {"", "a control message"},
      {"\xff\xfe", "a control message"},
      {"[1]", "a control message"},
      {std::string(100'000, '['), "a control message"},
      {begin + R"("body":[]})", "its body is no object"},
      {begin + R"("body":{})", "a control message"},
      {R"({"control":2,"software":"x","kind":"dance","call":1,"body":{}})", "its kind is"},
      {R"({"control":2,"software":"x","kind":"cancel","call":-1e99,"body":{}})", "call"},
      {R"({"control":9,"software":"potluck 9","kind":"ping","call":0,"body":{}})",
       "potluck 9 speaks version 9 of the control channel"},
      {begin + R"("body":{"x":")" + std::string(kControlTextMax, 'x') + "\"}}", "of JSON, at most"},
      {begin + R"("body":{}})", "behind its JSON, at most", kControlBytesMax + 1},
  };
  std::vector<std::unique_ptr<Garbler>> garblers;
  for (const auto& each : cases) {
    garblers.push_back(std::make_unique<Garbler>(local_));
    garblers.back()->send(each.text, each.payload);
  }
  const auto all_ended = [&] {
    return std::all_of(garblers.begin(), garblers.end(),
                       [](const auto& g) { return g->has_ended(); });
  };
  for (const Time end = soon(); !all_ended() && now() < end;)
    for (const auto& garbler : garblers) garbler->turn();
  for (size_t i = 0; i < garblers.size(); ++i) {
    EXPECT_TRUE(garblers[i]->has_ended()) << cases[i].text.substr(0, 80);
    EXPECT_NE(garblers[i]->answer().find(cases[i].answered), std::string::npos)
        << cases[i].text.substr(0, 80) << "\n was answered: " << garblers[i]->answer();
  }
  EXPECT_EQ(client.ask("count", Json::object(), kPatience).body, (Json{{"numbers", 3}}));
}

TEST_F(ControlTest, MoreClientsThanThereMayBeAreTurnedAwayInWords) {
  serve();
  std::vector<std::unique_ptr<ControlClient>> clients;
  for (size_t i = 0; i < kControlClientsOfHostMax; ++i) {
    clients.push_back(std::make_unique<ControlClient>(local_, std::function<LockKeys()>()));
    clients.back()->ask("echo", Json::object(), kPatience);
  }
  ControlClient one_more = local();
  EXPECT_NE(fault_text(one_more, "echo").find("32 clients of this machine already"),
            std::string::npos);
  clients.pop_back();
  clients.front()->ask("echo", Json::object(), kPatience);
}

TEST_F(ControlTest, ClientsOfOtherMachinesLeaveRoomForThoseOfThisOne) {
  serve({friend_.public_key});
  std::vector<std::unique_ptr<ControlClient>> clients;
  for (size_t i = 0; i < kControlClientsOfHostMax; ++i) {
    clients.push_back(std::make_unique<ControlClient>(Address(remote_, own_.public_key),
                                                      [this] { return friend_; }));
    clients.back()->ask("echo", Json::object(), kPatience);
  }
  ControlClient one_more = remote(friend_);
  EXPECT_NE(fault_text(one_more, "echo").find("32 clients of this machine already"),
            std::string::npos);
  EXPECT_EQ(local().ask("echo", Json::object(), kPatience).body.at("key"), "");
}

TEST_F(ControlTest, AnAnswerThatIsTooLargeFailsItsCallAlone) {
  serve();
  ControlClient client = local();
  EXPECT_NE(fault_text(client, "much").find("the answer is too large: "), std::string::npos);
  EXPECT_EQ(client.ask("count", Json::object(), kPatience).body, (Json{{"numbers", 3}}));
}

}  // namespace
}  // namespace potluck
