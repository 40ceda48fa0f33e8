// The I/O thread of a control channel's end.
#include "transport/control/control_line.h"

#include <cstring>
#include <future>
#include <utility>

#include "transport/quiet_thread.h"

namespace potluck {
namespace {

constexpr double kLoopSeconds = 0.1;   // between looks at the clock
constexpr double kLeaveSeconds = 0.1;  // for all of them, when the line goes

std::vector<std::byte> text_bytes(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::string text_of(const void* data, size_t bytes) {
  return bytes == 0 ? std::string() : std::string(static_cast<const char*>(data), bytes);
}

}  // namespace

ControlLine::ControlLine(std::unique_ptr<Pipe> pipe, std::function<void()> on_arrival)
    : pipe_(std::move(pipe)), on_arrival_(std::move(on_arrival)) {
  thread_ = start_without_signals([this] { run(); });
}

ControlLine::~ControlLine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  pipe_->ring();
  thread_.join();
}

void ControlLine::order(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(work));
  }
  pipe_->ring();
}

std::string ControlLine::listen(const std::string& endpoint) {
  std::promise<std::string> listening;
  order([this, &listening, &endpoint] {
    try {
      listening.set_value(pipe_->listen(endpoint));
    } catch (...) {
      listening.set_exception(std::current_exception());
    }
  });
  return listening.get_future().get();
}

ConnectionId ControlLine::dial(const Address& address) {
  std::promise<ConnectionId> dialed;
  order([this, &dialed, &address] {
    const ConnectionId id = pipe_->dial(address);
    connections_[id] = {now(), {}, true, true, {}};
    dialed.set_value(id);
  });
  return dialed.get_future().get();
}

void ControlLine::guard(Identity identity) {
  order([this, identity = std::move(identity)] { pipe_->guard(identity); });
}

void ControlLine::send(ConnectionId to, const ControlMessage& message) {
  order([this, to, text = control_text(message), bytes = message.bytes] {
    transmit(to, text, bytes);
  });
}

void ControlLine::hang_up(ConnectionId connection) {
  order([this, connection] {
    if (connections_.erase(connection)) pipe_->hang_up(connection, kFlushSeconds);
  });
}

std::vector<ControlLine::Arrival> ControlLine::take(Time deadline) {
  std::unique_lock lock(mutex_);
  something_.wait_until(lock, deadline, [this] { return !arrivals_.empty(); });
  std::vector<Arrival> taken(std::make_move_iterator(arrivals_.begin()),
                             std::make_move_iterator(arrivals_.end()));
  arrivals_.clear();
  waiting_bytes_ = 0;
  return taken;
}

// The I/O thread.

void ControlLine::run() {
  for (bool stopping = false; !stopping;) {
    pipe_->wait(now() + from_seconds(kLoopSeconds));
    run_orders();
    pipe_->read(*this);
    tick(now());
    const std::lock_guard lock(mutex_);
    stopping = stopping_ && orders_.empty();
  }
  bool was_called = false;  // what we have dialed has its time when its socket is closed
  for (const auto& [id, connection] : connections_) {
    pipe_->hang_up(id, kFlushSeconds);
    was_called = was_called || !connection.dialed;
  }
  connections_.clear();
  const Time end = now() + from_seconds(was_called ? kLeaveSeconds : 0);
  while (now() < end) {
    pipe_->wait(end);
    pipe_->read(*this);
  }
}

void ControlLine::run_orders() {
  std::vector<std::function<void()>> orders;
  {
    const std::lock_guard lock(mutex_);
    orders.swap(orders_);
  }
  for (const auto& each : orders) each();
}

void ControlLine::tick(Time now) {
  std::vector<ConnectionId> silent;
  for (auto& [id, connection] : connections_) {
    if (now - connection.heard > from_seconds(kControlSilenceSeconds)) {
      silent.push_back(id);
    } else if (connection.admitted && now - connection.pinged > from_seconds(kControlPingSeconds)) {
      connection.pinged = now;
      transmit(id, control_text({}), {});
    }
  }
  for (const ConnectionId id : silent) end(id, why_of(id, "nothing was heard of it for 10 s"));
}

void ControlLine::post(Arrival arrival) {
  {
    const std::lock_guard lock(mutex_);
    waiting_bytes_ += arrival.message.bytes.size();
    arrivals_.push_back(std::move(arrival));
  }
  something_.notify_one();
  if (on_arrival_) on_arrival_();
}

bool ControlLine::has_room(const ControlMessage& message) {
  const std::lock_guard lock(mutex_);
  return arrivals_.size() < kControlWaitingMax &&
         waiting_bytes_ + message.bytes.size() <= kControlWaitingBytesMax;
}

void ControlLine::transmit(ConnectionId to, std::string text, std::string bytes) {
  if (!connections_.count(to)) return;
  Frames frames{text_bytes(text), {}};
  if (!bytes.empty()) frames.payload = own_payload(text_bytes(bytes));
  pipe_->send(to, std::move(frames));
}

std::string ControlLine::why_of(ConnectionId connection, const std::string& otherwise) const {
  const auto trouble = troubles_.find(connection);
  return trouble == troubles_.end() ? otherwise : trouble->second;
}

// The other side has ended it already, or does not deserve another word.
void ControlLine::end(ConnectionId connection, const std::string& why) {
  if (!connections_.erase(connection)) return;
  troubles_.erase(connection);
  pipe_->hang_up(connection, kFlushSeconds);
  post({Arrival::Kind::gone, connection, {}, {}, why});
}

void ControlLine::refuse(ConnectionId connection, const Fault& fault) {
  ControlMessage message;
  message.kind = ControlMessage::Kind::fault;
  message.body = fault_json(fault);
  transmit(connection, control_text(message), {});
  end(connection, fault.what());
}

// Empty: there are not too many callers.
std::string ControlLine::why_too_many(const std::string& host) const {
  size_t of_host = 0, elsewhere = 0;
  for (const auto& [id, each] : connections_) {
    if (each.dialed) continue;
    of_host += each.host == host;
    elsewhere += !each.host.empty();
  }
  if (of_host > kControlClientsOfHostMax)
    return "there are " + std::to_string(kControlClientsOfHostMax) +
           " clients of this machine already";
  if (!host.empty() && elsewhere > kControlClientsMax)
    return "there are " + std::to_string(kControlClientsMax) + " clients already";
  return "";
}

// A link that is not locked is this machine's.
void ControlLine::called(ConnectionId connection, Caller caller) {
  const std::string host = caller.key.empty() ? "" : caller.address;
  connections_[connection] = {now(), now(), false, false, host};
  post({Arrival::Kind::called, connection, std::move(caller), {}, {}});
  if (const std::string why = why_too_many(host); !why.empty())
    refuse(connection, Fault(FaultKind::refused, why, Fix{"try again later"}));
}

void ControlLine::arrived(ConnectionId connection, const void* header, size_t header_bytes,
                          Payload payload) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  ControlMessage message;
  try {
    message = control_message({static_cast<const char*>(header), header_bytes},
                              text_of(payload.data, payload.bytes));
  } catch (const Fault& fault) {
    return refuse(connection, fault);
  }
  found->second.heard = now();
  if (!std::exchange(found->second.admitted, true)) pipe_->admit(connection);
  if (message.kind == ControlMessage::Kind::ping) return;
  if (!has_room(message))
    return refuse(connection,
                  Fault(FaultKind::refused, "too much is asked at once; try again later"));
  post({Arrival::Kind::message, connection, {}, std::move(message), {}});
}

void ControlLine::ended(ConnectionId connection) {
  end(connection, why_of(connection, "it has hung up"));
}

void ControlLine::failing(ConnectionId connection, const std::string& why) {
  if (connections_.count(connection)) troubles_[connection] = why;
}

void ControlLine::unreachable(ConnectionId connection, const std::string& why) {
  end(connection, why);
}

}  // namespace potluck
