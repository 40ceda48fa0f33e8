// Clusters of the local network find each other's machines by multicast DNS (DNS-SD, by the
// machine's Avahi daemon). Whoever is in that network can advertise whatever he likes: what is
// found here says where to ask, and lets nobody in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "topology/base/clock.h"

namespace potluck {

// It is put into log lines and onto screens through one_line() alone, for anybody may have sent it.
struct Advertised {
  std::string name;         // of the coordinator's machine
  std::string cluster_key;  // its public key, as it claims (key.h)
  std::string software;     // "potluck 0.1.0"
};

struct FoundCluster {
  Advertised said;
  std::string address;  // of its control channel: "10.0.0.3:7117", "[fe80::3%eth0]:7117"
};

// More are not looked at, so that a flood of false ones costs little.
inline constexpr size_t kFoundMax = 128;

// Advertises as long as it lives; a daemon that starts later is told then.
class Advertiser {
 public:
  virtual ~Advertiser() = default;
};

using MdnsLog = std::function<void(const std::string& line)>;

// Advertises a control channel at `port` of every address of this machine. `log` gets a line if
// nothing can be advertised here, and why.
std::unique_ptr<Advertiser> advertise(const Advertised& what, int port, MdnsLog log);

// Those that answer within `patience`, in the order of their answers, each address once. `log` gets
// a line if nothing can be found here, and why.
std::vector<FoundCluster> find_clusters(Duration patience, const MdnsLog& log);

}  // namespace potluck
