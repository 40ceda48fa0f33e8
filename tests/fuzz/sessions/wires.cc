// Each connection has two ends; what is sent at one waits in a single queue until it is delivered.
#include "tests/fuzz/sessions/wires.h"

#include <utility>

namespace potluck {

void Wires::listen(PipeEvents& who, const std::string& endpoint) {
  listeners_[endpoint] = &who;
}

// Where nobody listens, the answer comes on a connection of one end.
ConnectionId Wires::dial(PipeEvents& from, const std::string& endpoint) {
  const ConnectionId id = add(from);
  const auto listener = listeners_.find(endpoint);
  if (listener == listeners_.end()) {
    post(id,
         [id, endpoint](PipeEvents& to) { to.unreachable(id, "nobody listens at " + endpoint); });
    return id;
  }
  const ConnectionId other = add(*listener->second);
  ends_[id].other = other;
  ends_[other].other = id;
  post(other, [other](PipeEvents& to) { to.called(other, {"a wire", ""}); });
  post(id, [id](PipeEvents& to) { to.connected(id); });
  return id;
}

ConnectionId Wires::beyond(ConnectionId id) const {
  const auto end = ends_.find(id);
  return end == ends_.end() ? 0 : end->second.other;
}

void Wires::send(ConnectionId from, Frames frames) {
  if (const ConnectionId to = beyond(from))
    post(to, [to, frames = std::move(frames)](PipeEvents& events) {
      events.arrived(to, frames.header.data(), frames.header.size(), frames.payload);
    });
}

void Wires::hang_up(ConnectionId id) {
  const ConnectionId to = beyond(id);
  ends_.erase(id);
  if (!to) return;
  post(to, [this, to](PipeEvents& events) {
    ends_.erase(to);
    events.ended(to);
  });
}

void Wires::remove(const PipeEvents& who) {
  std::erase_if(listeners_, [&](const auto& each) { return each.second == &who; });
  std::vector<ConnectionId> left;
  for (const auto& [id, end] : ends_)
    if (end.who == &who) left.push_back(id);
  for (const ConnectionId id : left) hang_up(id);
}

bool Wires::deliver() {
  if (reports_.empty()) return false;
  const auto [to, report] = std::move(reports_.front());
  reports_.pop_front();
  if (const auto end = ends_.find(to); end != ends_.end()) report(*end->second.who);
  return true;
}

}  // namespace potluck
