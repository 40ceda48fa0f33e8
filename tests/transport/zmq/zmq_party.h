// The tests of transport/zmq share these: a transport that keeps its log lines, and verbs to wait
// for what must happen.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/zmq/zmq.h"

namespace potluck {

inline constexpr double kPatienceSeconds = 20;  // an upper bound for what must happen

class ZmqParty final {
 public:
  // Its links are plain.
  ZmqParty(PeerId self, const std::string& name) : ZmqParty(self, name, plain(), {}) {}
  // Its links are locked, and callers have these keys.
  ZmqParty(PeerId self, const std::string& name, const LockKeys& own,
           std::map<PeerId, std::vector<std::string>> callers = {})
      : ZmqParty(self, name, locked(own), std::move(callers)) {}
  ZmqParty(PeerId self, const std::string& name, ZmqOptions options,
           std::map<PeerId, std::vector<std::string>> callers) {
    options.log = [log = log_](const std::string& line) {
      const std::lock_guard lock(log->mutex);
      log->lines.push_back(line);
    };
    transport_ = make_zmq_transport(options);
    identity_.self = self;
    identity_.hello.software = "potluck test";
    identity_.hello.name = name;
    take_calls_by(std::move(callers));
  }

  void take_calls_by(std::map<PeerId, std::vector<std::string>> keys) {
    identity_.keys = std::move(keys);
    transport_->set_identity(identity_);
  }
  void limit_unread(uint64_t bytes) {
    identity_.unread_bytes_max = bytes;
    transport_->set_identity(identity_);
  }

  Transport& operator*() { return *transport_; }
  Transport* operator->() { return transport_.get(); }
  void destroy() { transport_.reset(); }

  std::vector<std::string> log_lines() const {
    const std::lock_guard lock(log_->mutex);
    return log_->lines;
  }
  // Waits until there are `count` lines; false: they never came.
  bool wait_for_log(size_t count) const {
    const Time deadline = now() + from_seconds(kPatienceSeconds);
    while (log_lines().size() < count && now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return log_lines().size() >= count;
  }

  Event expect(Event::Kind kind, PeerId peer) {
    std::optional<Event> event = transport_->wait(now() + from_seconds(kPatienceSeconds));
    if (!event) {
      ADD_FAILURE() << "no event came";
      return {};
    }
    EXPECT_EQ(static_cast<int>(event->kind), static_cast<int>(kind)) << event->reason;
    EXPECT_EQ(event->peer, peer);
    return std::move(*event);
  }
  Event expect_up(PeerId peer) { return expect(Event::Kind::up, peer); }
  std::string expect_down(PeerId peer) { return expect(Event::Kind::down, peer).reason; }
  Message expect_message(PeerId peer) { return expect(Event::Kind::message, peer).message; }
  void expect_silence(double seconds = 0.2) {
    const std::optional<Event> event = transport_->wait(now() + from_seconds(seconds));
    EXPECT_FALSE(event.has_value()) << event->reason;
  }

 private:
  struct Log {
    std::mutex mutex;
    std::vector<std::string> lines;
  };
  static ZmqOptions plain() {
    ZmqOptions options;
    options.insecure_plaintext = true;
    return options;
  }
  static ZmqOptions locked(const LockKeys& own) {
    ZmqOptions options;
    options.keys = [own] { return own; };
    return options;
  }

  std::shared_ptr<Log> log_ = std::make_shared<Log>();
  Identity identity_;
  std::unique_ptr<Transport> transport_;
};

inline Message number_message(PeerId to, uint64_t number) {
  Message message;
  message.header.kind = MessageKind::denoise;
  message.header.destination = to;
  message.header.session = number;
  return message;
}

inline Message hello_message(PeerId self, uint16_t protocol = kProtocolVersion) {
  Message message;
  message.header.kind = MessageKind::hello;
  message.header.source = self;
  message.header.protocol = protocol;
  message.hello.emplace();
  message.hello->software = "potluck 9.9.9";
  message.hello->name = "raw peer";
  return message;
}

inline Message goodbye_message(const std::string& why, uint16_t protocol = kProtocolVersion) {
  Message message;
  message.header.kind = MessageKind::goodbye;
  message.header.protocol = protocol;
  message.fault = FaultReport{FaultKind::lost, why, "raw peer (potluck 9.9.9)"};
  return message;
}

}  // namespace potluck
