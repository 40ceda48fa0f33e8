// Wires, their faults, and the parties at their ends.
#include "tests/sim/simulated_network.h"

#include <algorithm>

namespace potluck {
namespace {
constexpr double kStepSeconds = 0.001;
constexpr double kLinkTickSeconds = 0.02;
}  // namespace

SimulatedNetwork::Party& SimulatedNetwork::add(Links& links) {
  parties_.push_back(std::make_unique<Party>(Party{&links, ""}));
  return *parties_.back();
}

void SimulatedNetwork::remove(const Links& links) {
  std::vector<ConnectionId> left;
  for (const auto& [id, side] : sides_)
    if (side.links == &links) left.push_back(id);
  for (ConnectionId id : left) hang_up(id);
  std::erase_if(parties_, [&](const auto& party) { return party->links == &links; });
}

void SimulatedNetwork::listen(Links& links, const std::string& endpoint) {
  if (endpoint.rfind("sim://", 0) != 0)
    throw Fault(FaultKind::input, "endpoint " + endpoint + " is not sim://NAME");
  if (find(endpoint))
    throw Fault(FaultKind::world, "endpoint " + endpoint + " is in use; choose another");
  find(&links)->endpoint = endpoint;
}

SimulatedNetwork::Party* SimulatedNetwork::find(const Links* links) {
  for (const auto& party : parties_)
    if (party->links == links) return party.get();
  return nullptr;
}

SimulatedNetwork::Party* SimulatedNetwork::find(const std::string& endpoint) {
  for (const auto& party : parties_)
    if (party->endpoint == endpoint) return party.get();
  return nullptr;
}

// Where nobody listens, the answer to a dial comes back on a connection of one side.
ConnectionId SimulatedNetwork::dial(Links& from, const std::string& endpoint) {
  const ConnectionId id = ++last_id_;
  Party* to = find(endpoint);
  if (!to) {
    sides_[id] = {&from, 0, now_};
    deliver(id, [id, endpoint](Links& links) {
      links.unreachable(id, "nobody listens at " + endpoint);
    });
    return id;
  }
  const ConnectionId other = ++last_id_;
  sides_[id] = {&from, other, now_};
  sides_[other] = {to->links, id, now_};
  deliver(other, [other, at = now_](Links& links) {
    links.called(at, other, {"the simulation", ""});
  });
  return id;
}

ConnectionId SimulatedNetwork::beyond(ConnectionId connection) const {
  const auto side = sides_.find(connection);
  return side == sides_.end() ? 0 : side->second.other;
}

void SimulatedNetwork::post(ConnectionId from, Report report) {
  if (const ConnectionId to = beyond(from)) deliver(to, std::move(report));
}

void SimulatedNetwork::hang_up(ConnectionId connection) {
  const ConnectionId to = beyond(connection);
  sides_.erase(connection);
  if (to)
    deliver(to, [this, to](Links& links) {
      sides_.erase(to);
      links.ended(now_, to);
    });
}

// In order on each connection, after a random delay; what is on a wire that is cut waits.
void SimulatedNetwork::deliver(ConnectionId to, Report report) {
  const auto side = sides_.find(to);
  if (side == sides_.end()) return;
  std::uniform_real_distribution<double> delay(0, habits_.delay_seconds_max);
  Time& last = side->second.last;
  last = std::max(last, now_ + from_seconds(delay(random_)));
  deliveries_.push({last, order_++, to, std::move(report)});
}

Time SimulatedNetwork::cut_until(const Side& side) const {
  const auto other = sides_.find(side.other);
  Time until = now_;
  if (other == sides_.end()) return until;
  const auto endpoint_of = [&](const Links* links) {
    for (const auto& party : parties_)
      if (party->links == links) return party->endpoint;
    return std::string();
  };
  const std::string one = endpoint_of(side.links), two = endpoint_of(other->second.links);
  for (const Cut& cut : cuts_)
    if ((cut.one == one && cut.other == two) || (cut.one == two && cut.other == one))
      until = std::max(until, cut.until);
  return until;
}

void SimulatedNetwork::step() {
  now_ += from_seconds(kStepSeconds);
  while (!deliveries_.empty() && deliveries_.top().when <= now_) {
    Delivery next = deliveries_.top();
    deliveries_.pop();
    const auto side = sides_.find(next.to);
    if (side == sides_.end()) continue;
    if (const Time until = cut_until(side->second); until > now_) {
      next.when = until;
      deliveries_.push(std::move(next));
      continue;
    }
    const Party* party = find(side->second.links);
    if (party && !party->frozen) next.report(*side->second.links);
  }
  for (const auto& party : parties_) {
    if (party->frozen || now_ < party->next_tick) continue;
    party->next_tick = now_ + from_seconds(kLinkTickSeconds);
    party->links->tick(now_);
  }
}

void SimulatedNetwork::cut(const std::string& one, const std::string& other, Time until) {
  cuts_.push_back({one, other, until});
}

void SimulatedNetwork::freeze(const std::string& endpoint) {
  if (Party* party = find(endpoint)) party->frozen = true;
}

void SimulatedNetwork::crash(const std::string& endpoint) {
  if (const Party* party = find(endpoint)) remove(*party->links);
}

}  // namespace potluck
