// Transport: carries messages between peers of a plan: within a process (inproc.h), over ZeroMQ
// (zmq.h) or over MPI (mpi.h). make_transport.h chooses one.
//
// Peers are ids (plan.h). A link is made by connect() on one side; its first message each way is a
// Hello, which the transport sends itself (from `self`) and checks for protocol version; it then
// reports `up` with the other side's Hello. A listener knows the peer by the id in its Hello, a
// dialer by the id that it gave to connect(); what comes on a link has that id as its source. A
// second claim to a peer id that is up is refused: the first holder wins until its link is down.
// Whoever may not call (Identity::callers) is refused before anything of it is looked at, and so is
// whoever has another key than Identity::keys say on a link that is locked. Neighbours of a ring
// with a secret (Identity::secret) prove to each other that they have it before the link is up.
// Between two peers there is one link: when both dial, one call serves both, and connect() to a
// peer that has called already reports `up` (again) for its link. After `down` nothing queued for
// that link is ever delivered, and a new connect() starts afresh.
//
// send() never waits for a peer: each link's queue, from send() on one side to wait() on the other,
// holds kLinkQueueMax messages and kLinkBytesMax, and sending past it is a Fault. Messages are
// delivered whole and in order per link, or not at all. A payload lies at a multiple of 8. One
// thread owns a Transport's methods; wake() alone may be called from any thread or signal handler.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "topology/base/clock.h"
#include "transport/message.h"

namespace potluck {

inline constexpr int kLinkQueueMax = 1024;  // far more than a request's plan.slots
// What may wait on a link, and at a party in all: hundreds of canvases of the released model.
inline constexpr uint64_t kLinkBytesMax = uint64_t{2} * kPayloadBytesMax;
inline constexpr uint64_t kAllLinksBytesMax = 2 * kLinkBytesMax;
inline constexpr double kHeartbeatSeconds = 0.5;  // sent by the I/O thread, not the compute thread
inline constexpr double kSilenceSeconds = 2.0;    // a link silent for so long is down
inline constexpr double kConnectSeconds = 10.0;   // a connect() that has no Hello by then is down

// Where to dial, and whom to expect there.
struct Address {
  Address() = default;
  Address(std::string where, std::string whose = {})
      : endpoint(std::move(where)), key(std::move(whose)) {}
  Address(const char* where) : endpoint(where) {}
  std::string endpoint;
  std::string key;  // the listener's public key (topology/base/key.h); empty: no lock
};

struct Event {
  enum class Kind { message, up, down, woken };
  Kind kind = Kind::message;
  PeerId peer = 0;
  Message message;     // kind message; kind up: the peer's Hello
  std::string reason;  // kind down: "closed by peer", "silent for 2.0 s", "connection refused", …
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Who we are on links made from now on (a worker learns its peer id from Load, after its control
  // link is up; until then it is kUnassignedPeer), and who may call. Links of callers that may not
  // any more go down.
  virtual void set_identity(Identity identity) = 0;
  // Starts listening and returns the endpoint with its real port. Throws Fault{world} naming the
  // endpoint (port in use, no such interface).
  virtual std::string listen(const std::string& endpoint) = 0;
  // Dials `address`, to be known as `peer`. Returns at once; `up` or `down` follows.
  virtual void connect(PeerId peer, const Address& address) = 0;
  // Routes by header.destination; fills in source, protocol and digest. Before `up` it waits with
  // the link. Dropped with a `down` already reported or on its way if the link is gone. Throws
  // Fault{lost} for a peer that there never was a link with, Fault{input} for a message that passes
  // a limit of message.h, and Fault{world} when the link's queue is full.
  virtual void send(Message message) = 0;
  // Closes a link after flushing what was sent; neither a `down` nor anything else follows from it.
  virtual void drop(PeerId peer) = 0;
  // The next event, or nothing at the deadline.
  virtual std::optional<Event> wait(Time deadline) = 0;
  // Makes wait() return with `woken`. It is for owners that take orders from other threads, as
  // WorkerThreads is told to stop, and as a coordinator that stays is called.
  virtual void wake() = 0;
};

}  // namespace potluck
