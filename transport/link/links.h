// Links holds the links of one party from hello to goodbye, in the same way over every transport:
// it knows who may claim a peer, and what counts as sent, taken and silent.
//
// A pure state machine: it has no socket, no thread and no clock. Orders of the owner and reports
// of the pipe come in with the time; what follows goes out through LinkActions. One thread at a
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/link/callers.h"
#include "transport/link/mailbox.h"
#include "transport/transport.h"

namespace potluck {

inline constexpr double kFlushSeconds = 1.0;  // for what was sent, after a drop or at the end

// A message on its way out. Where a pipe carries bytes, `header` is what wire.h makes of the
// message (empty: not made yet); between threads of one process the message itself travels.
struct Parcel {
  Message message;
  std::vector<std::byte> header;
};

// The requests of links to the pipe below and the owner above. None of these calls back into Links.
class LinkActions {
 public:
  virtual ~LinkActions() = default;
  // Opens a connection to `address`, on which sending may begin at once. If that is impossible, it
  // is reported later.
  virtual ConnectionId dial(const Address& address) = 0;
  virtual void send(ConnectionId connection, Parcel parcel) = 0;
  // Nothing more is sent, and nothing more of the connection is to be reported. What was sent
  // before may still take flush_seconds to leave.
  virtual void hang_up(ConnectionId connection, double flush_seconds) = 0;
  // From now on a caller's connection ends that has brought more than identity.unread_bytes_max and
  // it was not read yet, finished message or not; and no locked one begins by a key that is not one
  // of identity.keys.
  virtual void guard(const Identity& identity) = 0;
  // A caller is one of the peers. Until then its connection may bring no more than a stranger's.
  virtual void admit(ConnectionId connection) = 0;
  // Whether bytes of an unfinished message arrived within the last kSilenceSeconds.
  virtual bool is_receiving(ConnectionId connection) = 0;
  // Gives the owner an event, and the log a line.
  virtual void report(std::shared_ptr<LinkEnd> end, Event event) = 0;
  // The bytes of all messages that the owner was given and has not taken yet.
  virtual uint64_t waiting_bytes() = 0;
  virtual void log(const std::string& line) = 0;
};

class Links final {
 public:
  explicit Links(LinkActions& actions) : actions_(actions) {}

  // The owner's orders, as their namesakes in Transport. `end` names the link, see Mailbox.
  // Ends the links of callers that the new identity does not take calls from.
  void set_identity(Time now, Identity identity);
  void connect(Time now, std::shared_ptr<LinkEnd> end, const Address& address);
  void send(const std::shared_ptr<LinkEnd>& end, Parcel parcel);
  void drop(Time now, const std::shared_ptr<LinkEnd>& end);
  // The owner has taken so much that the peer must hear of it before the next heartbeat.
  void tell_taken(Time now, const std::shared_ptr<LinkEnd>& end);
  // Says goodbye on every link. It has stopped when all have answered or kFlushSeconds are over.
  void stop(Time now);
  bool stopped(Time now) const;

  // The pipe's reports. What a connection that nobody knows any more brings is thrown away.
  void called(Time now, ConnectionId connection, Caller caller);  // by a stranger
  void locked_out(const Caller& caller);                          // by its key
  void connected(ConnectionId connection);                        // a dial reached somebody
  void arrived(Time now, ConnectionId connection, Message message);
  void broken(ConnectionId connection, const std::string& why);  // what came is unreadable
  // The other side has hung up: nothing can be sent any more, but what it sent may still arrive.
  void hung_up(ConnectionId connection);
  // The connection is over, and everything that it brought has been reported.
  void ended(Time now, ConnectionId connection);
  // A dial has reached nobody so far. It goes on, and says why when it is given up.
  void failing(ConnectionId connection, const std::string& why);
  // A dial that is not worth another try.
  void unreachable(ConnectionId connection, const std::string& why);

  // To be called every few hundredths of a second where a peer can be silent or late.
  void tick(Time now);

 private:
  struct Link {
    enum class State {
      dialing,  // no hello yet
      up,
      leaving,  // dropped: our goodbye is sent, theirs is awaited
      closed    // to be swept
    };
    State state = State::dialing;
    std::shared_ptr<LinkEnd> end;
    std::shared_ptr<LinkEnd> also;  // of a connect() to a peer that had called already
    bool dropped = false;           // by the owner, perhaps while still dialing
    ConnectionId connection = 0;
    bool gone = false;  // the other side has hung up; what it brought is still read
    bool said_goodbye = false;

    // Dialing.
    Address address;
    std::optional<Meeting> meeting;    // the other nonce is empty until their hello is there
    Time give_up_at{}, next_try_at{};  // leaving: when to wait no longer
    int tries = 0;
    bool connected = false;      // at least one try reached somebody
    std::string trouble;         // of the others, the last that was told
    std::deque<Parcel> waiting;  // for the hello

    // Up.
    Message hello;        // theirs
    bool called = false;  // by them
    std::string key;      // of a caller's lock
    Time up_at{}, heard_at{}, beat_at{};
    uint64_t sent = 0, received = 0;  // without the link's own messages

    bool is(const std::shared_ptr<LinkEnd>& wanted) const {
      return wanted == end || wanted == also;
    }
    bool is_live() const { return !dropped && (state == State::dialing || state == State::up); }
  };

  Link& add_link(std::shared_ptr<LinkEnd> end);
  Link* find(const std::shared_ptr<LinkEnd>& end);
  Link* find(ConnectionId connection);
  Link* live(PeerId peer);
  bool is_leaving(PeerId peer) const;

  // Callers that are no peers yet.
  void meet(Time now, ConnectionId connection, Message message);
  void ask_for_proof(Time now, ConnectionId connection, Stranger& stranger);
  std::string objection(const Message& hello, const std::string& key) const;
  void check_claim(Time now, const Message& hello, const std::string& key);
  void welcome(Time now, ConnectionId connection, Stranger& stranger);
  void turn_away(ConnectionId connection, const std::string& address, const std::string& why);

  // Dialing.
  void try_dial(Time now, Link& link);
  void tick_dial(Time now, Link& link);
  void meet_listener(Time now, Link& link, Message message);

  // The messages of a link.
  void handle(Time now, Link& link, Message message);
  void take_goodbye(Link& link, const Message& message);
  void take_heartbeat(Link& link, const Heartbeat& heartbeat);
  void check_room(const Link& link, uint64_t bytes) const;
  void deliver(Link& link, Message message);
  void tick_link(Time now, Link& link);

  // A link's turns.
  void come_up(Time now, Link& link, Message hello);
  void leave(Time now, Link& link);
  // Ends a link and tells the owner; refuse() tells the peer as well.
  void close(Link& link, const std::string& reason);
  void refuse(Link& link, const std::string& reason);

  // Messages that a link makes itself.
  void say(Link& link, Message message);
  void say_hello(Link& link);
  void say_proof(Link& link);
  void say_goodbye(Link& link, const std::string& reason);
  void beat(Time now, Link& link);
  Message goodbye(const Identity& from, PeerId to, const std::string& reason) const;
  void transmit(Link& link, Parcel parcel);
  void report_up(const Link& link);
  void report_down(const Link& link, const std::string& reason);

  LinkActions& actions_;
  Identity identity_;
  std::vector<std::unique_ptr<Link>> links_;
  CallerTable callers_;
  std::optional<Time> last_tick_;
  std::optional<Time> stop_at_;
};

}  // namespace potluck
