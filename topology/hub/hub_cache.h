// Puts a repository's files into the Hugging Face cache as every program that uses it does: the
// bytes in blobs/CHECKSUM, links to them in snapshots/COMMIT, and the commit in refs/main.
#pragma once

#include <string>

#include "topology/hub/fetch.h"
#include "topology/model/hf_choice.h"

namespace potluck {

struct CachePlace {
  std::string hub;  // the cache's `hub` folder
  HfName name;
  std::string commit;
};

// Fetches what is missing, from where an earlier call ended; each file is held to its checksum
// before it has its name. watch.arrived hears of what comes over the line. Throws Fault{world} if
// the disk has no room for it.
void fetch_to_cache(ModelFiles& from, const CachePlace& place, const FetchWatch& watch);

}  // namespace potluck
