// Plays a machine of the tests that advertises a cluster, as itself or as an impostor, or
// looks for some.
//
//   mdns_peer advertise NAME KEY PORT     until its stdin is closed
//   mdns_peer find SECONDS                prints NAME KEY SOFTWARE ADDRESS a line
#include <cstdio>
#include <cstdlib>
#include <string>

#include "topology/base/version.h"
#include "transport/mdns/mdns.h"

namespace {

void say(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

int advertise(char** words) {
  const auto advertiser =
      potluck::advertise({words[0], words[1], potluck::kSoftware}, std::atoi(words[2]), say);
  while (std::getchar() != EOF) {
  }
  return 0;
}

int find(char** words) {
  for (const auto& found : potluck::find_clusters(potluck::from_seconds(std::atof(words[0])), say))
    std::printf("%s|%s|%s|%s\n", found.said.name.c_str(), found.said.cluster_key.c_str(),
                found.said.software.c_str(), found.address.c_str());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string verb = count > 1 ? words[1] : "";
  if (verb == "advertise" && count == 5) return advertise(words + 2);
  if (verb == "find" && count == 3) return find(words + 2);
  return 2;
}
