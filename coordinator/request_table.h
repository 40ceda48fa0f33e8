// RequestTable: the requests that wait and run on a ring, and the sessions that they run in. It
// writes what is to be sent, and knows nothing of links. A ring that is loaded anew takes up every
// request where its last canvas was committed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "coordinator/generation.h"
#include "coordinator/request.h"
#include "coordinator/session.h"
#include "transport/state_machine.h"

namespace potluck {

class RequestTable final {
 public:
  // All three outlive this; the plan may change between calls.
  RequestTable(const ModelSpec& spec, const Plan& plan, const RequestEvents& events)
      : spec_(spec), plan_(plan), events_(events) {}

  // Orders, which obey() carries out.
  uint64_t submit(Request request);
  void cancel(uint64_t request);
  void close_session(uint64_t session);
  bool has_orders() const { return ordered_; }
  void obey(Outbox& out);

  // The ring is loaded: its sessions are opened and nothing of them is encoded. `stall`: what the
  // requests that run have waited for so far, from `noticed` on.
  void ring_is_empty(Time now, const Stall& stall, Time noticed, Outbox& out);
  // Goes on with all that can. hold: nothing begins, and what has committed a canvas rests.
  void advance(Time now, bool hold, Outbox& out);
  bool rests() const;  // nothing is on its way round the ring
  // Takes an answer of the ring; returns how long that took, 0 for one that nobody waits for.
  double reply(Time now, const Message& message);
  // A worker's fault about a request or its session ends the request; false: it is about neither.
  bool fail(const Header& about, const Fault& fault);
  void fail_all(const Fault& fault);
  // Throws Fault{lost} when an answer is later than `limit`; tells long waits.
  void check_deadlines(Time now, double limit);

 private:
  struct Queued {
    uint64_t id;
    Request request;
  };

  void send(MessageKind kind, uint64_t session, Outbox& out) const;
  void fail_request(uint64_t id, const Fault& fault);
  void start_waiting(Outbox& out);
  bool can_start(const Request& request) const;
  void start_one(Queued queued, Outbox& out);
  Session& session_for(const Request& request, Outbox& out);
  bool go_back(Session& session, int length, Outbox& out) const;
  void finish(Time now, Generation& generation, Outbox& out);
  void end_session(uint64_t session, Outbox& out);
  Generation* find(const Header& header);

  const ModelSpec& spec_;
  const Plan& plan_;
  const RequestEvents& events_;
  std::deque<Queued> waiting_;
  std::map<uint64_t, std::unique_ptr<Generation>> running_;  // by request
  Sessions sessions_;
  std::vector<uint64_t> to_close_, to_cancel_;
  uint64_t next_request_ = 1;
  bool ordered_ = false;
};

}  // namespace potluck
