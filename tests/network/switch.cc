// A network switch in user space: it joins namespaces by TUN devices and lets each packet arrive as
// its link's rate, latency, jitter and loss have it. Ending it is a partition.
//
//   switch [--lossy] SEED NAMESPACE=ADDRESS[,ADDRESS…]…
//
// It says "ready", then reads commands, one a line, and answers each with a line:
//
//   wire A B mbit=1000 ms=0.2 jitter=0.1 loss=0.01    from A to B; what is not named is ideal
//   card A mbit=1000                                  all that A sends, and all that it takes
//   cut A B | join A B                                nothing passes from A to B; or it does again
//   traffic A B                                       "packets bytes lost" so far
//
// A multicast packet goes to everybody else. --lossy: packets are as small as on a wire, so that
// loss is of wire packets; it costs much of the speed.
#include <poll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <map>
#include <queue>
#include <sstream>
#include <string>
#include <vector>

#include "tests/network/tunnel.h"
#include "tests/network/wires.h"

namespace potluck {
namespace {

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

struct Flying {
  double arrival;
  uint64_t number;  // equal arrivals keep the order in which they were sent
  int to;
  std::vector<uint8_t> packet;
  bool operator<(const Flying& other) const {
    return std::pair(other.arrival, other.number) < std::pair(arrival, number);
  }
};

class Switch final {
 public:
  Switch(uint64_t seed, bool lossy, const std::vector<std::string>& hosts)
      : wires_(hosts.size(), seed) {
    for (const std::string& host : hosts) add(host, lossy);
  }

  // Runs until stdin ends.
  void run() {
    std::vector<pollfd> watched{{STDIN_FILENO, POLLIN, 0}};
    for (const Tunnel& tunnel : tunnels_) watched.push_back({tunnel.descriptor(), POLLIN, 0});
    std::cout << "ready" << std::endl;
    for (;;) {
      wait(watched);
      if (watched[0].revents && !obey()) return;
      for (size_t host = 0; host < tunnels_.size(); ++host)
        if (watched[1 + host].revents) take_from(host);
      deliver();
    }
  }

 private:
  void add(const std::string& host, bool lossy) {
    const size_t equals = host.find('=');
    tunnels_.emplace_back(host.substr(0, equals), !lossy);
    std::istringstream addresses(host.substr(equals + 1));
    for (std::string address; std::getline(addresses, address, ',');)
      host_of_[address] = tunnels_.size() - 1;
    number_of_[host.substr(0, equals)] = tunnels_.size() - 1;
  }

  void wait(std::vector<pollfd>& watched) {
    timespec left{1, 0};
    if (!flying_.empty()) {
      const double seconds = std::clamp(flying_.top().arrival - now(), 0.0, 1.0);
      left = {static_cast<time_t>(seconds),
              static_cast<long>((seconds - static_cast<time_t>(seconds)) * 1e9)};
    }
    ppoll(watched.data(), watched.size(), &left, nullptr);
  }

  void take_from(int host) {
    constexpr int kAtOnce = 64;  // packets, before others have their turn
    for (int i = 0; i < kAtOnce; ++i) {
      std::vector<uint8_t> packet = tunnels_[host].read();
      if (packet.empty()) return;
      send(host, std::move(packet));
    }
  }

  void send(int from, std::vector<uint8_t> packet) {
    const std::string destination = destination_of(packet);
    if (const auto host = host_of_.find(destination); host != host_of_.end())
      return launch(from, host->second, std::move(packet));
    const bool multicast = destination.starts_with("ff") || destination.starts_with("224.") ||
                           destination.starts_with("239.");
    for (int to = 0; multicast && to < static_cast<int>(tunnels_.size()); ++to)
      if (to != from) launch(from, to, packet);
  }

  void launch(int from, int to, std::vector<uint8_t> packet) {
    const auto arrival = wires_.arrival(now(), from, to, wire_bytes(packet));
    if (arrival) flying_.push({*arrival, next_++, to, std::move(packet)});
  }

  void deliver() {
    for (const double time = now(); !flying_.empty() && flying_.top().arrival <= time;
         flying_.pop())
      tunnels_[flying_.top().to].write(flying_.top().packet);
  }

  // Takes the lines that have come. False at the end of stdin.
  bool obey() {
    do
      if (!obey_line()) return false;
    while (std::cin.rdbuf()->in_avail() > 0);
    return true;
  }

  bool obey_line() {
    std::string line;
    if (!std::getline(std::cin, line)) return false;
    std::istringstream words(line);
    std::string verb, from, to;
    words >> verb >> from;
    if (verb != "card") words >> to;
    std::cout << answer(verb, from, to, words) << std::endl;
    return true;
  }

  std::string answer(const std::string& verb, const std::string& from, const std::string& to,
                     std::istringstream& words) {
    if (!number_of_.contains(from) || (verb != "card" && !number_of_.contains(to)))
      return "no such host";
    const int a = number_of_[from], b = verb == "card" ? a : number_of_[to];
    std::map<std::string, double> values;
    for (std::string word; words >> word;)
      values[word.substr(0, word.find('='))] = std::stod(word.substr(word.find('=') + 1));
    Wire wire = wires_.wire(a, b);
    if (verb == "wire")
      wire = {values["mbit"], values["ms"], values["jitter"], values["loss"], false};
    if (verb == "cut" || verb == "join") wire.cut = verb == "cut";
    wires_.set(a, b, wire);
    if (verb == "card") wires_.set_card(a, values["mbit"]);
    const Traffic& traffic = wires_.traffic(a, b);
    if (verb == "traffic")
      return std::to_string(traffic.packets) + " " + std::to_string(traffic.bytes) + " " +
             std::to_string(traffic.lost);
    return verb == "wire" || verb == "card" || verb == "cut" || verb == "join" ? "done"
                                                                               : "no such command";
  }

  std::vector<Tunnel> tunnels_;
  std::map<std::string, int> host_of_;    // by address
  std::map<std::string, int> number_of_;  // by namespace
  Wires wires_;
  std::priority_queue<Flying> flying_;
  uint64_t next_ = 0;
};

int main_of(std::vector<std::string> words) {
  const bool lossy = !words.empty() && words[0] == "--lossy";
  if (lossy) words.erase(words.begin());
  if (words.size() < 3) {
    std::cerr << "usage: switch [--lossy] SEED NAMESPACE=ADDRESS[,ADDRESS...]...\n";
    return 2;
  }
  prctl(PR_SET_TIMERSLACK, 1);  // nanosecond, for waits as short as a LAN's
  const uint64_t seed = std::stoull(words[0]);
  words.erase(words.begin());
  Switch(seed, lossy, words).run();
  return 0;
}

}  // namespace
}  // namespace potluck

int main(int count, char** words) {
  try {
    return potluck::main_of({words + 1, words + count});
  } catch (const std::exception& error) {
    std::cerr << "switch: " << error.what() << "\n";
    return 3;
  }
}
