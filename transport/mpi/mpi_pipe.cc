// Connections over MPI: dialing and sending first, then what arrives: an envelope with a header,
// which says how large a payload follows it, and then the payload.
#include "transport/mpi/mpi_pipe.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <charconv>

namespace potluck {
namespace {

constexpr int kHeaderTag = 0;  // payloads have the others
constexpr int kReadsInARow = 64;
constexpr char kScheme[] = "mpi://";
constexpr char kAnyRank[] = "mpi://*";

// Between two looks at MPI. A transfer under way needs looks to go on, so they are frequent for a
// moment after anything has moved; an eighth of the time that nothing has moved later.
constexpr Duration kEagerFor = std::chrono::microseconds(100);
constexpr Duration kNapMin = std::chrono::microseconds(20);
constexpr Duration kNapMax = std::chrono::microseconds(250);
constexpr int kNapShare = 8;
constexpr unsigned long kTimerSlackNs = 1000;  // the kernel's own would be 50 µs

// False: the bell rings.
bool nap(const Bell& bell, Duration quiet) {
  Duration length = std::clamp(quiet / kNapShare, kNapMin, kNapMax);
  if (quiet < kEagerFor) {
    sched_yield();
    length = Duration{0};
  }
  const timespec most{0, length.count()};
  pollfd fd{bell.fd(), POLLIN, 0};
  return ppoll(&fd, 1, &most, nullptr) == 0;
}

std::string name_of(int rank) {
  return kScheme + std::to_string(rank);
}

}  // namespace

MpiPipe::MpiPipe(std::shared_ptr<MpiWorld> world)
    : world_(std::move(world)), ranks_(world_->size()) {}

// Messages under way get a moment to arrive. MPI may use the others even later: they stay.
MpiPipe::~MpiPipe() {
  const Time deadline = now() + from_seconds(kFlushSeconds);
  while (progress(), is_busy() && now() < deadline) nap(bell_, kNapMax);
  if (outgoing_.empty() && !is_busy()) return;
  world_->abandon();
  static std::list<std::pair<std::list<Outgoing>, std::vector<Rank>>> unfinished;
  unfinished.emplace_back(std::move(outgoing_), std::move(ranks_));
}

bool MpiPipe::is_busy() {
  const auto is_receiving = [](const Rank& rank) {
    return !rank.lost && !rank.incoming.empty() && !rank.incoming.back().is_whole;
  };
  return std::any_of(ranks_.begin(), ranks_.end(), is_receiving) ||
         std::any_of(outgoing_.begin(), outgoing_.end(),
                     [&](const Outgoing& each) { return !at(each.rank).lost; });
}

std::optional<int> MpiPipe::rank_of(const std::string& endpoint) const {
  const std::string_view text = endpoint;
  if (!text.starts_with(kScheme)) return std::nullopt;
  const char* end = text.data() + text.size();
  int rank = -1;
  const auto [at, error] =
      std::from_chars(text.data() + std::char_traits<char>::length(kScheme), end, rank);
  const bool is_rank = error == std::errc() && at == end && rank >= 0 && rank < world_->size();
  return is_rank ? std::optional(rank) : std::nullopt;
}

std::string MpiPipe::listen(const std::string& endpoint) {
  const std::string mine = name_of(world_->rank());
  const bool other = rank_of(endpoint) && endpoint != mine;
  if (other || (endpoint != mine && endpoint != kAnyRank))
    throw Fault(other ? FaultKind::world : FaultKind::input,
                "cannot listen at \"" + endpoint + "\"; this rank of the MPI job is " + mine);
  listening_ = true;
  return mine;
}

// Dialing.

ConnectionId MpiPipe::add_connection(Connection connection) {
  const ConnectionId id = world_->next_connection();
  if (connection.dialed_by_us)
    connection.dial = id;
  else
    callers_[{connection.rank, connection.dial}] = id;
  connections_[id] = connection;
  return id;
}

ConnectionId MpiPipe::dial(const Address& address) {
  const std::string& endpoint = address.endpoint;
  const std::optional<int> rank = rank_of(endpoint);
  const ConnectionId id = add_connection({rank.value_or(0), 0, true});
  if (rank)
    post(connections_[id], EnvelopeKind::call);
  else
    undialable_[id] = "endpoint " + endpoint + " is not mpi://RANK of this job of " +
                      std::to_string(world_->size()) + " ranks";
  return id;
}

// 0: there is none, or no more.
ConnectionId MpiPipe::find(int rank, const Envelope& envelope) const {
  if (envelope.dialed_by_sender) {
    const auto found = callers_.find({rank, envelope.dial});
    return found == callers_.end() ? 0 : found->second;
  }
  const auto found = connections_.find(envelope.dial);
  const bool ours = found != connections_.end() && found->second.dialed_by_us &&
                    found->second.rank == rank && !undialable_.count(envelope.dial);
  return ours ? found->first : 0;
}

void MpiPipe::forget(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  callers_.erase({found->second.rank, found->second.dial});
  undialable_.erase(id);
  connections_.erase(found);
}

// Sending.

void MpiPipe::send(ConnectionId id, Frames frames) {
  const auto found = connections_.find(id);
  if (found != connections_.end() && !undialable_.count(id))
    post(found->second, EnvelopeKind::frames, std::move(frames));
}

void MpiPipe::hang_up(ConnectionId id, double) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  if (!undialable_.count(id)) post(found->second, EnvelopeKind::hang_up);
  forget(id);
}

void MpiPipe::post(const Connection& to, EnvelopeKind kind, Frames frames) {
  post(to.rank, {kind, to.dialed_by_us, to.dial}, frames.header, std::move(frames.payload));
}

void MpiPipe::post(int rank, Envelope envelope, const std::vector<std::byte>& header,
                   Payload payload) {
  Outgoing& out = outgoing_.emplace_back();
  out.rank = rank;
  envelope.payload_bytes = payload.bytes;
  envelope.payload_tag = payload.bytes ? world_->next_payload_tag() : 0;
  out.bytes = encode_envelope(envelope, header);
  out.payload = std::move(payload);
  int code = MPI_Isend(out.bytes.data(), out.bytes.size(), MPI_BYTE, rank, kHeaderTag,
                       world_->comm(), &out.requests[0]);
  if (code == MPI_SUCCESS && out.payload.bytes)
    code = MPI_Isend(out.payload.data, out.payload.bytes, MPI_BYTE, rank, envelope.payload_tag,
                     world_->comm(), &out.requests[1]);
  if (code != MPI_SUCCESS) at(rank).trouble = "MPI cannot send to it: " + mpi_error_text(code);
  progress_at_ = now();
}

// Whether any has left.
bool MpiPipe::finish_sends() {
  const size_t before = outgoing_.size();
  outgoing_.remove_if([](Outgoing& each) {
    int done = 0;
    const int code = MPI_Testall(2, each.requests, &done, MPI_STATUSES_IGNORE);
    return code == MPI_SUCCESS && done;
  });
  return outgoing_.size() < before;
}

// Receiving.

void MpiPipe::wait(Time deadline) {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  while (!progress() && now() < deadline)
    if (!nap(bell_, now() - progress_at_)) break;
  bell_.quiet();
}

// Whether there is something to report.
bool MpiPipe::progress() {
  bool moved = finish_sends(), news = !undialable_.empty();
  moved = receive_headers() || moved;
  for (int i = 0; i < world_->size(); ++i) {
    for (Incoming& each : at(i).incoming) advance(i, each);
    news = news || !at(i).trouble.empty() ||
           (!at(i).incoming.empty() && at(i).incoming.front().is_whole);
  }
  call_roll();
  if (moved || news) progress_at_ = now();
  return news;
}

bool MpiPipe::receive_headers() {
  for (int i = 0; i < kReadsInARow; ++i) {
    int found = 0;
    MPI_Message message;
    MPI_Status status;
    const int code =
        MPI_Improbe(MPI_ANY_SOURCE, kHeaderTag, world_->comm(), &found, &message, &status);
    if (code != MPI_SUCCESS || !found) return i > 0;
    receive(message, status);
  }
  return true;
}

// MPI says of a longer one that it was cut.
void MpiPipe::receive(MPI_Message message, const MPI_Status& status) {
  Rank& rank = at(status.MPI_SOURCE);
  rank.heard_at = now();
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  Incoming& incoming = rank.incoming.emplace_back();
  incoming.bytes.resize(std::min(static_cast<size_t>(bytes), kEnvelopeBytes + kHeaderBytesMax));
  const int code = MPI_Imrecv(incoming.bytes.data(), incoming.bytes.size(), MPI_BYTE, &message,
                              &incoming.request);
  if (code != MPI_SUCCESS) incoming.trouble = mpi_error_text(code);
}

void MpiPipe::advance(int rank, Incoming& incoming) {
  MPI_Status status;
  for (int done = 1; !incoming.is_whole;) {
    const int code = MPI_Test(&incoming.request, &done, &status);
    if (code == MPI_SUCCESS && !done) return;
    if (code != MPI_SUCCESS) incoming.trouble = mpi_error_text(code);
    if (!incoming.trouble.empty())
      incoming.is_whole = true;
    else if (incoming.is_open)
      check_whole(incoming, status);
    else
      open(rank, incoming);
  }
}

// Nothing is allocated for a payload before its size has been checked.
void MpiPipe::open(int rank, Incoming& incoming) {
  incoming.is_open = true;
  Envelope& envelope = incoming.envelope;
  try {
    envelope = decode_envelope(incoming.bytes);
  } catch (const Fault& fault) {
    at(rank).trouble = fault.text();
    incoming.is_whole = true;
    return;
  }
  if (envelope.kind == EnvelopeKind::question) post(rank, {EnvelopeKind::present});
  if (envelope.kind == EnvelopeKind::present && roll_call_) roll_call_->awaited.erase(rank);
  incoming.is_whole = envelope.payload_bytes == 0;
  if (incoming.is_whole) return;
  incoming.payload = std::make_shared_for_overwrite<std::byte[]>(envelope.payload_bytes);
  const int code = MPI_Irecv(incoming.payload.get(), envelope.payload_bytes, MPI_BYTE, rank,
                             envelope.payload_tag, world_->comm(), &incoming.request);
  if (code != MPI_SUCCESS) incoming.trouble = mpi_error_text(code);
}

void MpiPipe::check_whole(Incoming& incoming, const MPI_Status& status) {
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  incoming.is_whole = true;
  if (static_cast<size_t>(bytes) != incoming.envelope.payload_bytes)
    incoming.trouble = "a payload has " + std::to_string(bytes) + " bytes, not " +
                       std::to_string(incoming.envelope.payload_bytes) + " as announced";
}

void MpiPipe::call_roll() {
  if (std::optional<MpiWorld::RollCall> asked = world_->take_roll_call()) {
    roll_call_ = RollCall{std::move(*asked), now() + from_seconds(kRollCallSeconds), {}};
    for (int rank = 0; rank < world_->size(); ++rank) {
      if (!at(rank).connected) continue;
      roll_call_->awaited.insert(rank);
      post(rank, {EnvelopeKind::question});
    }
  }
  if (!roll_call_ || (!roll_call_->awaited.empty() && now() < roll_call_->until)) return;
  for (const int rank : roll_call_->awaited) {
    at(rank).lost = true;
    at(rank).trouble = "rank " + std::to_string(rank) + " does not answer";
  }
  roll_call_->answer.set_value({roll_call_->awaited.begin(), roll_call_->awaited.end()});
  roll_call_.reset();
}

// A payload under way is not seen to grow, but its rank's heartbeats come beside it.
bool MpiPipe::is_receiving(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return false;
  const Rank& rank = ranks_[found->second.rank];
  return !rank.incoming.empty() && now() - rank.heard_at < from_seconds(kSilenceSeconds);
}

// Reports may dial, send and hang up.
void MpiPipe::read(PipeEvents& events) {
  progress();
  for (const auto& [id, why] : std::exchange(undialable_, {})) {
    forget(id);
    events.unreachable(id, why);
  }
  for (int i = 0; i < world_->size(); ++i) {
    std::deque<Incoming>& incoming = at(i).incoming;
    while (!incoming.empty() && incoming.front().is_whole) {
      Incoming first = std::move(incoming.front());
      incoming.pop_front();
      deliver(i, std::move(first), events);
    }
    report_trouble(i, events);
  }
}

void MpiPipe::deliver(int rank, Incoming incoming, PipeEvents& events) {
  const Envelope& envelope = incoming.envelope;
  if (envelope.kind == EnvelopeKind::call) return welcome(rank, envelope, events);
  const ConnectionId id = find(rank, envelope);
  if (!id) return;
  if (!incoming.trouble.empty())
    return events.broken(id, "a message was not received: " + incoming.trouble);
  if (envelope.kind == EnvelopeKind::answer) {
    at(rank).connected = true;
    return events.connected(id);
  }
  if (envelope.kind == EnvelopeKind::hang_up) {
    forget(id);
    return events.ended(id);
  }
  Payload payload;
  payload.data = incoming.payload.get();
  payload.bytes = envelope.payload_bytes;
  payload.owner = std::move(incoming.payload);
  events.arrived(id, incoming.bytes.data() + kEnvelopeBytes, incoming.bytes.size() - kEnvelopeBytes,
                 std::move(payload));
}

void MpiPipe::welcome(int rank, const Envelope& envelope, PipeEvents& events) {
  const Connection caller{rank, envelope.dial, false};
  if (!listening_ || !envelope.dialed_by_sender || find(rank, envelope))
    return post(caller, EnvelopeKind::hang_up);
  at(rank).connected = true;
  const ConnectionId id = add_connection(caller);
  post(caller, EnvelopeKind::answer);
  events.called(id, {name_of(rank), ""});
}

// A rank in trouble is not spoken to any more.
void MpiPipe::report_trouble(int rank, PipeEvents& events) {
  const std::string why = std::exchange(at(rank).trouble, "");
  if (why.empty()) return;
  std::vector<ConnectionId> broken;
  for (const auto& [id, connection] : connections_)
    if (connection.rank == rank) broken.push_back(id);
  for (const ConnectionId id : broken) {
    forget(id);
    events.broken(id, why);
  }
}

}  // namespace potluck
