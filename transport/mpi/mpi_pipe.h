// MpiPipe: connections over MPI, which has none: each message's envelope says which it belongs to.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "transport/link/bell.h"
#include "transport/link/pipe.h"
#include "transport/mpi/envelope.h"
#include "transport/mpi/mpi_world.h"

namespace potluck {

class MpiPipe final : public Pipe {
 public:
  explicit MpiPipe(std::shared_ptr<MpiWorld> world);
  ~MpiPipe() override;

  void ring() override { bell_.ring(); }
  std::string listen(const std::string& endpoint) override;
  ConnectionId dial(const Address& address) override;
  void send(ConnectionId id, Frames frames) override;
  void hang_up(ConnectionId id, double flush_seconds) override;
  void guard(const Identity&) override {}  // ranks of a job trust each other
  void admit(ConnectionId) override {}
  bool is_receiving(ConnectionId id) override;
  void wait(Time deadline) override;
  void read(PipeEvents& events) override;

 private:
  struct Connection {
    int rank = 0;
    uint64_t dial = 0;  // the dialer's number; ours, if we dialed
    bool dialed_by_us = false;
  };
  // A message on its way in: first its envelope and header, then its payload.
  struct Incoming {
    std::vector<std::byte> bytes;  // envelope and header
    Envelope envelope;
    std::shared_ptr<std::byte[]> payload;
    MPI_Request request = MPI_REQUEST_NULL;  // for what is under way
    bool is_open = false, is_whole = false;
    std::string trouble;
  };
  // A message on its way out. MPI reads from it until both requests are done.
  struct Outgoing {
    int rank = 0;
    std::vector<std::byte> bytes;
    Payload payload;
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  };
  struct Rank {
    std::deque<Incoming> incoming;  // in the order in which they were sent
    Time heard_at{};
    bool connected = false;  // it has answered, or called
    bool lost = false;       // it has not answered in a roll call
    std::string trouble;     // to be reported to all of its connections
  };
  struct RollCall {
    MpiWorld::RollCall answer;
    Time until;
    std::set<int> awaited;
  };

  Rank& at(int rank) { return ranks_[rank]; }
  std::optional<int> rank_of(const std::string& endpoint) const;
  ConnectionId add_connection(Connection connection);
  ConnectionId find(int rank, const Envelope& envelope) const;
  void forget(ConnectionId id);

  void post(int rank, Envelope envelope, const std::vector<std::byte>& header = {},
            Payload payload = {});
  void post(const Connection& to, EnvelopeKind kind, Frames frames = {});
  bool finish_sends();

  bool progress();
  bool receive_headers();
  void receive(MPI_Message message, const MPI_Status& status);
  void advance(int rank, Incoming& incoming);
  void open(int rank, Incoming& incoming);
  void check_whole(Incoming& incoming, const MPI_Status& status);
  bool is_busy();
  void call_roll();

  void deliver(int rank, Incoming incoming, PipeEvents& events);
  void welcome(int rank, const Envelope& envelope, PipeEvents& events);
  void report_trouble(int rank, PipeEvents& events);

  const std::shared_ptr<MpiWorld> world_;
  Bell bell_;
  bool listening_ = false;
  Time progress_at_{};
  std::map<ConnectionId, Connection> connections_;
  std::map<std::pair<int, uint64_t>, ConnectionId> callers_;  // by rank and dial
  std::map<ConnectionId, std::string> undialable_;            // and why
  std::vector<Rank> ranks_;
  std::list<Outgoing> outgoing_;
  std::optional<RollCall> roll_call_;
};

}  // namespace potluck
