// ZmqIo: the thread that owns the sockets of a transport.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "transport/link/mailbox.h"
#include "transport/zmq/zmq.h"
#include "transport/zmq/zmq_endpoint.h"
#include "transport/zmq/zmq_link.h"
#include "transport/zmq/zmq_socket.h"

namespace potluck {

inline constexpr char kClosedByPeer[] = "closed by peer";  // the reason of an ordinary goodbye

class ZmqIo final {
 public:
  using Order = std::function<void(ZmqIo&)>;

  // Starts the thread. What happens goes to the mailbox, which must outlive this.
  ZmqIo(ZmqOptions options, Mailbox& mailbox);
  // Says goodbye on every link, and waits until all was taken or kFlushSeconds have passed.
  ~ZmqIo();

  // The owner's thread: to be run on ours, in order.
  void order(Order order);
  // The owner's thread: waits until it is done.
  std::string listen(const std::string& endpoint);

  // In orders only, as their namesakes in Transport.
  void set_identity(const Identity& identity) { identity_ = identity; }
  void connect(std::shared_ptr<LinkEnd> end, const std::string& endpoint);
  void send(const std::shared_ptr<LinkEnd>& end, const std::vector<std::byte>& header,
            const Payload& payload);
  void drop(const std::shared_ptr<LinkEnd>& end);
  void tell_taken(const std::shared_ptr<LinkEnd>& end);

 private:
  static constexpr int kReadsInARow = 64;  // from one socket, before others get their turn

  // The thread.
  void run();
  void stop();
  bool finished(Time now) const;
  void wait_for_work();
  void run_orders();
  void read_sockets();
  void tick(Time now);

  // Listening (zmq_io_listen.cc).
  struct Caller {
    std::string route;
    int fd;
    std::string address;
  };
  std::string bind(const ZmqEndpoint& wanted, const std::string& resolved);
  void read_listener();
  void read_listener_happenings();
  void take_from_route(ZmqFrames frames);
  void accept(ZmqFrames frames);
  void check_claim(const Message& hello);
  void welcome(const Caller& caller, Message hello);
  void turn_away(const Caller& caller, const std::string& why);

  // Dialing (zmq_io_dial.cc).
  void start_dial(ZmqLink& link, const std::string& endpoint);
  void tick_dial(ZmqLink& link, Time now);
  void dial(ZmqLink& link);
  void retry(ZmqLink& link, Time now);
  bool is_leaving(PeerId peer) const;

  // A link's messages and silences (zmq_io_link.cc).
  void read_dialed(ZmqLink& link);
  void handle(ZmqLink& link, ZmqFrames frames);
  void handle(ZmqLink& link, Message message);
  void take_goodbye(ZmqLink& link, const Message& message);
  void take_heartbeat(ZmqLink& link, const Heartbeat& heartbeat);
  void deliver(ZmqLink& link, Message message);
  void tick_link(ZmqLink& link, Time now);

  // Links.
  ZmqLink& add_link(std::shared_ptr<LinkEnd> end);
  ZmqLink* find(const std::shared_ptr<LinkEnd>& end);
  ZmqLink* live(PeerId peer);
  void come_up(ZmqLink& link, Message hello);
  void leave(ZmqLink& link, Time now);
  // Ends a link and tells the owner; refuse() tells the peer as well.
  void close(ZmqLink& link, const std::string& reason);
  void refuse(ZmqLink& link, const std::string& reason);
  void post_up(const ZmqLink& link);
  void post_down(const ZmqLink& link, const std::string& reason);

  // What a link says for itself.
  void transmit(ZmqLink& link, const std::vector<std::byte>& header, const Payload& payload);
  void say(ZmqLink& link, const Message& message);
  void say_hello(ZmqLink& link);
  void say_goodbye(ZmqLink& link, const std::string& reason);
  void beat(ZmqLink& link, Time now);
  Message own_message(MessageKind kind, PeerId to) const;
  Message goodbye(PeerId to, const std::string& reason) const;

  const ZmqOptions options_;
  Mailbox& mailbox_;
  zmq::context_t context_;
  Identity identity_;
  std::unique_ptr<ZmqSocket> listener_;
  std::vector<std::string> socket_files_;  // ours to remove: libzmq leaves them
  std::vector<std::unique_ptr<ZmqLink>> links_;
  std::set<int> strangers_;                 // fds of connections that said nothing yet
  std::map<std::string, int> turned_away_;  // routes, and their fds
  Time last_loop_{};
  bool stopping_ = false;
  Time stop_at_{};

  std::mutex mutex_;
  std::vector<Order> orders_;  // under mutex_
  const int bell_;             // an eventfd
  std::thread thread_;         // last: everything is there when it starts
};

// Checks and reads what came. Throws Fault{refused}.
Message read_message(ZmqFrames frames);

}  // namespace potluck
