// ControlServer: takes calls of clients on behalf of whoever stays: a coordinator, or a machine
// that gives others its model. Each verb has a handler. Clients of this machine come by a socket
// file, which its folder's permissions guard; others by TCP, locked by CURVE.
//
// One thread owns it and is the one that handlers run on, in serve(). A handler may reply at once,
// or keep its call and reply later, with events before; both from the owner's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "transport/control/control_line.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {

inline constexpr size_t kControlCallsMax = 16;  // of one client at a time

// Who may use a verb of those that come by TCP: machines whose key the server was told, or anyone
// with a key, where the handler itself finds out who it is.
enum class ControlCallers { known, anyone };

// A call that a handler has to answer. One that nobody keeps any more without an answer has failed.
class ControlCall final {
 public:
  ControlCall(std::shared_ptr<ControlLine> line, ConnectionId from, std::string key,
              ControlMessage message);
  ~ControlCall();
  ControlCall(const ControlCall&) = delete;
  ControlCall& operator=(const ControlCall&) = delete;

  const nlohmann::json& body() const { return message_.body; }
  const std::string& bytes() const { return message_.bytes; }
  // The public key of the machine that calls; empty: the same user of this machine.
  const std::string& key() const { return key_; }
  // Who calls, as when_gone() names it later. No two clients ever have the same.
  ConnectionId client() const { return from_; }

  void event(nlohmann::json body, std::string bytes = {});
  // One of the two ends the call.
  void reply(nlohmann::json body, std::string bytes = {});
  void fail(const Fault& fault);

  // The client has canceled it or is gone: nobody hears what is said.
  bool is_canceled() const { return canceled_; }
  // Called once when that happens, on the owner's thread.
  void when_canceled(std::function<void()> then) { then_ = std::move(then); }
  void cancel();  // the server does so

 private:
  void say(ControlMessage::Kind kind, nlohmann::json body, std::string bytes);

  const std::shared_ptr<ControlLine> line_;
  const ConnectionId from_;
  const std::string key_;
  const ControlMessage message_;
  std::function<void()> then_;
  bool answered_ = false, canceled_ = false;
};

struct ControlServerOptions {
  // This machine's keys, for TCP.
  std::function<LockKeys()> keys;
  // Called on a thread of the server's own when serve() has something to do; may be none.
  std::function<void()> on_arrival;
};

class ControlServer final {
 public:
  using Handler = std::function<void(std::shared_ptr<ControlCall> call)>;

  explicit ControlServer(ControlServerOptions options);
  ~ControlServer();

  void on(const std::string& verb, ControlCallers callers, Handler handler);
  // Called on the owner's thread when a client has gone that had called, after its calls are
  // canceled.
  void when_gone(std::function<void(ConnectionId client)> then) { gone_ = std::move(then); }
  // Machines that may call by TCP; this one always may.
  void allow(std::set<std::string> keys);
  // At "ipc:///PATH", and after that perhaps at "tcp://HOST:PORT"; returns the real endpoint.
  // Throws as Transport::listen().
  std::string listen(const std::string& endpoint);
  // Handles what has come, and waits until the deadline if nothing has. What a handler throws as a
  // Fault is its call's answer.
  void serve(Time deadline);

 private:
  struct Verb {
    ControlCallers callers;
    Handler handler;
  };
  struct Client {
    std::string key;
    std::map<uint64_t, std::weak_ptr<ControlCall>> calls;
  };
  void take(ControlLine::Arrival arrival);
  void call(ConnectionId from, Client& client, ControlMessage message);
  void cancel(Client& client, uint64_t number);
  bool is_known(const std::string& key) const;
  void guard();

  const ControlServerOptions options_;
  const std::shared_ptr<ControlLine> line_;
  std::map<std::string, Verb> verbs_;
  std::set<std::string> allowed_;
  std::map<ConnectionId, Client> clients_;
  std::function<void(ConnectionId)> gone_;
};

}  // namespace potluck
