// StageFetch: fetches what this machine lacks of a cluster's model, the tensors of its part alone:
// from the machine that coordinates, or else from the hub, if the model is of one.
//
// The copy of a hub's model lies in the Hugging Face cache, as one of `potluck pull --layers` does;
// any other among what potluck can find out again, by the model's contents. It stays there, for
// the next time and for other parts.
#pragma once

#include <memory>
#include <string>

#include "cluster/cli/commands.h"
#include "cluster/cli/pull_progress.h"
#include "topology/hub/stage_copy.h"
#include "topology/model/model_source.h"
#include "transport/transport.h"

namespace potluck {

// Whether a model or a part of it is on this machine, where -m says.
bool is_model_here(const std::string& locator, const ModelPlaces& places);

class StageFetch final {
 public:
  // from: where its coordinator shares the model (model_share.h); model: as -m names it. line:
  // outlives this.
  StageFetch(Address from, std::string model, const CommandLine& line)
      : from_(std::move(from)), model_(std::move(model)), line_(line) {}

  // Opens the model with these layers, and with the head's tensors if it may, of which it fetches
  // what is not here; without both it is the header alone. Waits for another worker of this machine
  // that fetches. Throws Fault{world} for a full disk, Fault{canceled} after an interrupt, and as
  // PeerFiles.
  std::unique_ptr<ModelSource> fetch(LayerRange layers, bool head) const;

 private:
  std::string copy_from_peer(const StageWish& wish, PullProgress& progress) const;
  std::string copy_from_hub(const StageWish& wish, PullProgress& progress) const;
  std::string folder_in_cache(const std::string& commit) const;

  const Address from_;
  const std::string model_;
  const CommandLine& line_;
};

}  // namespace potluck
