// Pipe: what a transport that carries bytes has to know: how to reach an address, send frames, and
// report what arrived and that a connection ended. All else about links is in links.h, and
// make_pipe_transport() makes a Transport of the two.
//
// A pipe is made before its I/O thread starts and destroyed after that has ended; in between that
// thread alone calls it, apart from ring(). Only wait() waits, and listen() for a moment; only
// read() calls back. Nothing is thrown but by listen(): what goes wrong is reported.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/link/links.h"
#include "transport/transport.h"

namespace potluck {

// One message: the header that wire.h makes and reads, and the payload behind it.
struct Frames {
  std::vector<std::byte> header;
  Payload payload;  // what is to be sent has an owner, which the pipe keeps for as long as it reads
};

// Where a pipe reports, in the order in which things happened on each connection.
class PipeEvents {
 public:
  virtual ~PipeEvents() = default;
  virtual void called(ConnectionId connection, Caller caller) = 0;
  virtual void locked_out(const Caller& caller) = 0;    // it never gets as far as a connection
  virtual void connected(ConnectionId connection) = 0;  // a dial reached somebody
  // header: valid during the call. A payload lies at a multiple of 8 and keeps its bytes alive.
  virtual void arrived(ConnectionId connection, const void* header, size_t header_bytes,
                       Payload payload) = 0;
  virtual void broken(ConnectionId connection, const std::string& why) = 0;  // not frames of ours
  virtual void hung_up(ConnectionId connection) = 0;  // sending is over; more may still arrive
  virtual void ended(ConnectionId connection) = 0;    // nothing more will be reported
  // A dial has reached nobody so far; why: what is known of each address, and what would help.
  virtual void failing(ConnectionId connection, const std::string& why) = 0;
  // A dial that is not worth another try; instead of `ended`.
  virtual void unreachable(ConnectionId connection, const std::string& why) = 0;
};

class Pipe {
 public:
  virtual ~Pipe() = default;
  // Makes wait() return, now or when it is called next. Any thread.
  virtual void ring() = 0;

  // As Transport's. A pipe that needs no listening says where it can be reached.
  virtual std::string listen(const std::string& endpoint) = 0;
  // As their namesakes in LinkActions. Frames of one connection arrive in order and whole.
  virtual ConnectionId dial(const Address& address) = 0;
  virtual void send(ConnectionId connection, Frames frames) = 0;
  virtual void hang_up(ConnectionId connection, double flush_seconds) = 0;
  virtual void guard(const Identity& identity) = 0;
  virtual void admit(ConnectionId connection) = 0;
  virtual bool is_receiving(ConnectionId connection) = 0;

  // Until there may be something to read, somebody rings, or the deadline has passed.
  virtual void wait(Time deadline) = 0;
  // Reports what has happened since the last time.
  virtual void read(PipeEvents& events) = 0;
};

// log: gets one line for each connection that was turned away; called on the I/O thread.
std::unique_ptr<Transport> make_pipe_transport(std::unique_ptr<Pipe> pipe,
                                               std::function<void(const std::string& line)> log);

}  // namespace potluck
