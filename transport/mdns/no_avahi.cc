// Stands in for Avahi where the build found none: nothing is advertised or found, and that is said.
#include "transport/mdns/mdns.h"

namespace potluck {
namespace {

constexpr char kWithout[] =
    "clusters are not found by themselves: this potluck was built without libavahi-client-dev; "
    "join "
    "by a token, which has the address";

class Silence final : public Advertiser {};

}  // namespace

std::unique_ptr<Advertiser> advertise(const Advertised&, int, MdnsLog log) {
  log(kWithout);
  return std::make_unique<Silence>();
}

std::vector<FoundCluster> find_clusters(Duration, const MdnsLog& log) {
  log(kWithout);
  return {};
}

}  // namespace potluck
