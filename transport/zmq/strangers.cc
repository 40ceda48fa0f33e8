// Chooses which strangers have to go.
#include "transport/zmq/strangers.h"

#include <algorithm>
#include <utility>

namespace potluck {
namespace {

bool stays(const Strangers::Stranger& stranger) {
  return !stranger.severed && !stranger.gone_at;
}

}  // namespace

void Strangers::add(Time now, const SocketId& socket, const std::string& host) {
  strangers_[socket.fd] = {socket, host, now, {}, false};
}

void Strangers::end(Time now, int fd) {
  if (const auto found = strangers_.find(fd); found != strangers_.end())
    found->second.gone_at = now;
}

std::optional<Strangers::Stranger> Strangers::extract(int fd) {
  auto node = strangers_.extract(fd);
  if (!node) return std::nullopt;
  return std::move(node.mapped());
}

size_t Strangers::forget(Time before) {
  return std::erase_if(strangers_, [&](const auto& each) {
    return each.second.gone_at && *each.second.gone_at < before;
  });
}

size_t Strangers::count() const {
  return std::count_if(strangers_.begin(), strangers_.end(),
                       [](const auto& each) { return stays(each.second); });
}

// host: of any, if there is none.
Strangers::Table::iterator Strangers::oldest_of(const std::string* host) {
  auto oldest = strangers_.end();
  for (auto each = strangers_.begin(); each != strangers_.end(); ++each) {
    if (!stays(each->second) || (host && each->second.host != *host)) continue;
    if (oldest == strangers_.end() || each->second.since < oldest->second.since) oldest = each;
  }
  return oldest;
}

std::vector<SocketId> Strangers::surplus(Time now,
                                         const std::function<uint64_t(int fd)>& received) {
  std::vector<SocketId> named;
  const auto sever = [&](Stranger& stranger) {
    stranger.severed = true;
    named.push_back(stranger.socket);
  };
  std::map<std::string, size_t> hosts;
  for (auto& [fd, stranger] : strangers_) {
    if (!stays(stranger)) continue;
    if (now - stranger.since > from_seconds(kHelloSeconds) || received(fd) > kStrangerBytesMax)
      sever(stranger);
    else
      ++hosts[stranger.host];
  }
  for (size_t left = count(); left > kStrangersMax; --left) {
    const auto most =
        std::max_element(hosts.begin(), hosts.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    sever(oldest_of(&most->first)->second);
    --most->second;
  }
  return named;
}

std::optional<SocketId> Strangers::oldest() {
  const auto oldest = oldest_of(nullptr);
  if (oldest == strangers_.end()) return std::nullopt;
  oldest->second.severed = true;
  return oldest->second.socket;
}

}  // namespace potluck
