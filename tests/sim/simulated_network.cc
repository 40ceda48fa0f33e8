// The simulated network delivers each link's messages in order after random delays, and breaks
// links.
#include "tests/sim/simulated_network.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "topology/base/check.h"

namespace potluck {
namespace {
constexpr double kDelaySecondsMax = 0.02;
}  // namespace

int SimulatedNetwork::add(StateMachine& machine, const std::string& endpoint, Identity identity) {
  machines_.push_back({&machine, endpoint, std::move(identity), true, false, false, now_, {}});
  return static_cast<int>(machines_.size()) - 1;
}

// In order on each link, after a random delay.
void SimulatedNetwork::post(int from, int to, Event event, double delay_seconds) {
  std::uniform_real_distribution<double> delay(0, kDelaySecondsMax);
  Time when = now_ + from_seconds(delay_seconds + delay(random_));
  Time& last = last_on_link_[{from, to}];
  when = std::max(when, last);
  last = when;
  queue_.push({when, order_++, from, to, std::move(event)});
}

Event SimulatedNetwork::up(int other, PeerId as) const {
  const Machine& m = machines_[static_cast<size_t>(other)];
  Event event;
  event.kind = Event::Kind::up;
  event.peer = as;
  event.message.header.kind = MessageKind::hello;
  event.message.header.source = as;
  event.message.header.incarnation = m.identity.incarnation;
  event.message.header.epoch = m.identity.epoch;
  event.message.hello = m.identity.hello;
  return event;
}

void SimulatedNetwork::connect(int from, PeerId peer, const std::string& endpoint) {
  const auto found = std::find_if(machines_.begin(), machines_.end(), [&](const Machine& m) {
    return m.endpoint == endpoint && m.alive;
  });
  if (found == machines_.end()) {
    Event refused;
    refused.kind = Event::Kind::down;
    refused.peer = peer;
    refused.reason = "connection refused";
    return post(from, from, std::move(refused));
  }
  const int to = static_cast<int>(found - machines_.begin());
  const PeerId self = machines_[static_cast<size_t>(from)].identity.self;
  machines_[static_cast<size_t>(from)].links[peer] = to;
  found->links[self] = from;
  post(from, to, up(from, self));
  post(to, from, up(to, peer));
}

void SimulatedNetwork::give(int index, Outbox outbox) {
  Machine& m = machines_[static_cast<size_t>(index)];
  for (PeerId peer : outbox.drops) m.links.erase(peer);
  if (outbox.identity) m.identity = *outbox.identity;
  for (auto& [peer, endpoint] : outbox.connects) connect(index, peer, endpoint);
  for (Message& message : outbox.messages) {
    const auto link = m.links.find(message.header.destination);
    if (link == m.links.end()) continue;
    message.header.source = m.identity.self;
    Event event;
    event.peer = m.identity.self;
    event.message = std::move(message);
    post(index, link->second, std::move(event));
  }
  m.finished = m.finished || outbox.finished;
}

void SimulatedNetwork::deliver(Delivery delivery) {
  Machine& to = machines_[static_cast<size_t>(delivery.to)];
  if (!to.alive || to.finished) return;
  if (to.frozen) return;
  if (delivery.from != delivery.to) {
    const auto link = to.links.find(delivery.event.peer);
    if (link == to.links.end() || link->second != delivery.from) return;
  }
  ++delivered_;
  const PeerId gone = delivery.event.peer;
  if (delivery.event.kind == Event::Kind::down) to.links.erase(gone);
  give(delivery.to, to.machine->handle(now_, std::move(delivery.event)));
}

// A dead machine's links go down at once; a frozen one's after the transport's silence.
void SimulatedNetwork::strike() {
  for (const FaultAt& fault : std::exchange(faults_, {})) {
    if (fault.when > now_) {
      faults_.push_back(fault);
      continue;
    }
    Machine& victim = machines_[static_cast<size_t>(fault.machine)];
    (fault.kill ? victim.alive : victim.frozen) = !fault.kill;
    for (size_t i = 0; i < machines_.size(); ++i)
      for (const auto& [peer, machine] : machines_[i].links) {
        if (machine != fault.machine) continue;
        Event down;
        down.kind = Event::Kind::down;
        down.peer = peer;
        down.reason = fault.kill ? "closed by peer" : "silent for 2.0 s";
        post(fault.machine, static_cast<int>(i), std::move(down), fault.kill ? 0 : kSilenceSeconds);
      }
  }
}

void SimulatedNetwork::tick(int index) {
  Machine& m = machines_[static_cast<size_t>(index)];
  if (!m.alive || m.frozen || m.finished) return;
  if (!m.machine->idle_work() && now_ < m.next_tick) return;
  m.next_tick = now_ + from_seconds(kTickSeconds);
  give(index, m.machine->tick(now_));
}

bool SimulatedNetwork::run(int first, double limit_seconds) {
  while (now_ < at(limit_seconds)) {
    if (machines_[static_cast<size_t>(first)].finished) return true;
    strike();
    while (!queue_.empty() && queue_.top().when <= now_) {
      Delivery next = queue_.top();
      queue_.pop();
      deliver(std::move(next));
    }
    for (size_t i = 0; i < machines_.size(); ++i) tick(static_cast<int>(i));
    now_ += std::chrono::milliseconds(1);
  }
  return machines_[static_cast<size_t>(first)].finished;
}

}  // namespace potluck
