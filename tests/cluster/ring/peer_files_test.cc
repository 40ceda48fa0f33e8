// Files of a peer are read whole and unchanged, whatever its answers hold.
#include "cluster/ring/peer_files.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cluster/ring/model_share.h"
#include "tests/topology/model/temp_folder.h"
#include "topology/base/fault.h"
#include "topology/hub/fetch.h"
#include "topology/model/fingerprint.h"

namespace potluck {
namespace {

constexpr char kContent[] = "0123456789abcdef";

// Serves at a socket file until it goes away.
class Peer final {
 public:
  explicit Peer(const std::function<void(ControlServer&)>& verbs) {
    verbs(server_);
    endpoint_ = server_.listen("ipc://" + folder_.path("socket"));
    thread_ = std::thread([this] {
      while (!stopping_) server_.serve(now() + std::chrono::milliseconds(20));
    });
  }
  ~Peer() {
    stopping_ = true;
    thread_.join();
  }
  const std::string& endpoint() const { return endpoint_; }

 private:
  TempFolder folder_;
  ControlServer server_{ControlServerOptions{}};
  std::string endpoint_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

SharedModel shared(const std::string& path) {
  return {LocalFiles(path), kContent};
}

LockKeys no_keys() {
  return {};
}

std::string fetch(ModelFiles& from, ByteRange range) {
  const FetchWatch watch{[] { return false; }, [](const std::string&) {}, [](uint64_t) {},
                         [](uint64_t) {}};
  std::string text;
  fetch_range(from, 0, range, watch, [&](std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) text.push_back(std::to_integer<char>(byte));
  });
  return text;
}

TEST(PeerFiles, ARangeComesAsItIsThere) {
  TempFolder folder;
  std::string data(1'000'000, 'x');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 251);
  SharedModel model = shared(folder.write("m.gguf", data));
  Peer peer([&](ControlServer& server) { share_model(server, model, {}); });
  PeerFiles files(peer.endpoint(), no_keys);
  ASSERT_EQ(files.files().size(), 1u);
  EXPECT_EQ(files.files()[0].name, "m.gguf");
  EXPECT_EQ(files.files()[0].bytes, data.size());
  EXPECT_EQ(fetch(files, {5, 999990}), data.substr(5, 999990));
}

TEST(PeerFiles, WhatIsNotInTheFileIsRefused) {
  TempFolder folder;
  SharedModel model = shared(folder.write("m.gguf", "some bytes"));
  Peer peer([&](ControlServer& server) { share_model(server, model, {}); });
  PeerFiles files(peer.endpoint(), no_keys);
  EXPECT_THROW(fetch(files, {5, 6}), Fault);
  EXPECT_EQ(fetch(files, {5, 5}), "bytes");  // and the next call is answered
}

// The first answer that a peer gives to a call for four bytes has these bytes and digest.
void is_asked_again(const std::string& first, Digest digest) {
  std::atomic<int> calls = 0;
  Peer peer([&](ControlServer& server) {
    server.on("model-files", ControlCallers::known, [](const std::shared_ptr<ControlCall>& call) {
      call->reply({{"content", kContent},
                   {"commit", ""},
                   {"files", {{{"name", "m.gguf"}, {"bytes", 4}, {"checksum", ""}}}}});
    });
    server.on("model-read", ControlCallers::known, [&](const std::shared_ptr<ControlCall>& call) {
      const bool again = calls++ > 0;
      call->reply({{"digest", digest_text(again ? digest_bytes("true", 4) : digest)}},
                  again ? "true" : first);
    });
  });
  PeerFiles files(peer.endpoint(), no_keys);
  EXPECT_EQ(fetch(files, {0, 4}), "true");
  EXPECT_EQ(calls, 2);
}

TEST(PeerFiles, AByteThatChangedIsFetchedAnew) {
  is_asked_again("lies", digest_bytes("true", 4));
}

TEST(PeerFiles, MoreOrFewerBytesThanWereAskedAreNotTaken) {
  for (const std::string wrong : {"true and more", "tru", ""})
    is_asked_again(wrong, digest_bytes(wrong.data(), wrong.size()));
}

void refuses(const std::string& content, const std::string& commit) {
  Peer peer([&](ControlServer& server) {
    server.on("model-files", ControlCallers::known,
              [content, commit](const std::shared_ptr<ControlCall>& call) {
                call->reply({{"content", content},
                             {"commit", commit},
                             {"files", {{{"name", "m"}, {"bytes", 4}, {"checksum", ""}}}}});
              });
  });
  EXPECT_THROW(PeerFiles(peer.endpoint(), no_keys), Fault) << content << " " << commit;
}

// A folder on this disk is named by what the peer says.
TEST(PeerFiles, ContentsAndACommitThatAreNoDigestsAreRefused) {
  refuses("../../0123456789", "");
  refuses("", "");
  refuses(kContent, "../../../../../../../../../../etc/passwd");
}

TEST(PeerFiles, AFileWhoseNameLeadsElsewhereIsRefused) {
  for (const char* name : {"../m.gguf", "a/b.gguf", ".bashrc", ""}) {
    Peer peer([&](ControlServer& server) {
      server.on("model-files", ControlCallers::known,
                [name](const std::shared_ptr<ControlCall>& call) {
                  call->reply({{"files", {{{"name", name}, {"bytes", 4}, {"checksum", ""}}}}});
                });
    });
    EXPECT_THROW(PeerFiles(peer.endpoint(), no_keys), Fault) << name;
  }
}

}  // namespace
}  // namespace potluck
