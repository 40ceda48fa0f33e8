// ZmqPipe: connections over ZeroMQ. Each dial has sockets of its own; all callers come by the
// listening socket, which knows each of them by a route.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transport/link/bell.h"
#include "transport/link/pipe.h"
#include "transport/zmq/descriptor.h"
#include "transport/zmq/dial.h"
#include "transport/zmq/endpoint.h"
#include "transport/zmq/gate.h"
#include "transport/zmq/lock_keys.h"
#include "transport/zmq/socket.h"
#include "transport/zmq/strangers.h"

namespace potluck {

class ZmqPipe final : public Pipe {
 public:
  // keys: see ZmqOptions.
  ZmqPipe(std::function<LockKeys()> keys, bool insecure_plaintext)
      : ask_for_keys_(std::move(keys)), insecure_plaintext_(insecure_plaintext) {}
  ~ZmqPipe() override;

  void ring() override { bell_.ring(); }
  std::string listen(const std::string& endpoint) override;
  ConnectionId dial(const Address& address) override;
  void send(ConnectionId id, Frames frames) override;
  void hang_up(ConnectionId id, double flush_seconds) override;
  void guard(const Identity& identity) override;
  void admit(ConnectionId id) override;
  bool is_receiving(ConnectionId id) override;
  void wait(Time deadline) override;
  void read(PipeEvents& events) override;

 private:
  struct Connection {
    std::unique_ptr<ZmqSocket> socket;  // of a dialed one that has connected
    std::string route;                  // of one that called
    std::string key;                    // of one that called by a locked link
    bool admitted = false;              // of one that called
    int fd = -1;
    Strangers::Stranger stranger;  // what one that called was before it spoke
    bool route_ended = false;      // of one that called: nothing can be sent to it any more
    uint64_t read_bytes = 0;       // of its messages, as they are framed
    std::optional<Time> sever_at;  // it was hung up, and has had time to leave
    bool hung_up = false;          // by us: nothing of it is reported any more
    std::optional<Time> gone_at;   // the other side has ended it; what it brought is still read
    bool told_gone = false;
    Time receiving_at{};  // when bytes of it were last seen on their way
    // Dialed.
    Address address;
    std::future<std::vector<std::string>> resolved;  // while its name is looked up
    std::unique_ptr<Dial> dial;                      // from then until it has connected
    std::vector<Frames> waiting;                     // for that
    Time dialed_at{};
    std::string failure;  // it cannot be dialed at all

    bool is_dialed() const { return route.empty(); }
  };

  using Connections = std::map<ConnectionId, Connection>;

  const LockKeys& own_keys();
  void lock_listener(const ZmqEndpoint& wanted, const std::string& resolved);
  std::string key_for(const Address& to) const;
  std::string bind(const ZmqEndpoint& wanted, const std::string& resolved);
  void start_dial(Connection& connection);
  std::unique_ptr<Dial> new_dial(std::vector<std::string> addresses, const Address& to);
  void try_resolved(Connection& connection);
  void advance(ConnectionId id, Connection& connection, PipeEvents& events);
  void transmit(Connection& connection, const Frames& frames);

  void read_listener(PipeEvents& events);
  void look_at_callers(PipeEvents& events);
  void read_happenings(PipeEvents& events);
  void part_from_sockets(PipeEvents& events);
  void end(int fd, PipeEvents& events);
  void turn_callers_away();
  void sever_surplus();
  bool has_strangers() const;
  void sever(const SocketId& caller);
  void give_memory_back();
  bool is_surplus(const Connection& caller) const;
  void lose(ConnectionId id, Connection& connection, PipeEvents& events);
  void report_stranger_gone(PipeEvents& events);
  Connections::iterator caller_at(int fd);
  ConnectionId caller(ZmqFrames& frames, PipeEvents& events);
  void read_dialed(ConnectionId id, Connection& connection, PipeEvents& events);
  void note(ZmqHappening::Kind happening, ConnectionId id, Connection& connection,
            PipeEvents& events);
  void take(ConnectionId id, ZmqFrames frames, PipeEvents& events);
  void note_receiving();
  void finish(PipeEvents& events);

  const std::function<LockKeys()> ask_for_keys_;
  const bool insecure_plaintext_;
  std::optional<LockKeys> own_keys_;
  Bell bell_;
  zmq::context_t context_;
  std::unique_ptr<Gate> gate_;
  std::set<std::string> allowed_keys_;
  std::unique_ptr<ZmqSocket> listener_;
  std::vector<std::string> socket_files_;  // ours to remove: libzmq leaves them
  ConnectionId last_id_ = 0;
  Connections connections_;
  std::unordered_map<std::string, ConnectionId> routes_;
  Strangers strangers_;
  Severer severer_;
  int listener_fd_ = -1;
  Time looked_at_{};             // when it was last seen who has to go
  std::optional<Time> trim_at_;  // some have gone
  uint64_t unread_max_ = 0;
};

}  // namespace potluck
