// Asks the coordinator first, which is near, and keeps one writer at a time.
#include "cluster/launch/stage_fetch.h"

#include <unistd.h>

#include <filesystem>
#include <thread>

#include "cluster/ring/key_file.h"
#include "cluster/ring/model_share.h"
#include "cluster/ring/peer_files.h"
#include "topology/base/fault.h"
#include "topology/hub/file_writer.h"
#include "topology/hub/hub_files.h"
#include "topology/model/hf_cache.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

constexpr char kHub[] = "hf:";
constexpr char kModels[] = "/models/";  // below potluck's cache
constexpr char kLock[] = "/.lock";      // in a copy's folder
constexpr std::chrono::milliseconds kGlance(50);

// One writes of several workers of a machine.
class OnlyWriter final {
 public:
  OnlyWriter(const std::string& folder, const FetchWatch& watch) : lock_(folder + kLock) {
    while (!lock_.try_lock()) {
      check_not_stopped(watch);
      std::this_thread::sleep_for(kGlance);
    }
  }

 private:
  FileWriter lock_;
};

std::string copy(ModelFiles& from, const std::string& folder, const StageWish& wish,
                 PullProgress& progress) {
  const FetchWatch watch = progress.watch();
  const OnlyWriter only(folder, watch);
  return copy_stage(from, folder, wish, watch).path;
}

}  // namespace

bool is_model_here(const std::string& locator, const ModelPlaces& places) {
  if (!has_files(locator)) return true;
  std::error_code none;
  if (!locator.starts_with(kHub)) return std::filesystem::exists(locator, none);
  try {
    find_cached(locator.substr(sizeof(kHub) - 1), places.hub);
    return true;
  } catch (const Fault&) {
    return false;
  }
}

std::string StageFetch::folder_in_cache(const std::string& commit) const {
  const HfName name = parse_hf_name(model_.substr(sizeof(kHub) - 1));
  return line_.places.hub + "/" + hf_folder(name) + "/" + kPartialFolder + "/" + commit;
}

std::string StageFetch::copy_from_peer(const StageWish& wish, PullProgress& progress) const {
  const KeyFile keys(line_.config);
  const auto state = [&progress] { return progress.to_come() ? progress.state() : ""; };
  PeerFiles from(
      from_, [keys] { return keys.read_or_make(); }, state);
  StageWish named = wish;
  named.content = from.content();
  if (model_.starts_with(kHub) && !from.commit().empty())
    return copy(from, folder_in_cache(from.commit()), named, progress);
  if (line_.cache.empty())
    throw Fault(FaultKind::input, "there is no folder for a copy of the model",
                Fix{"set XDG_CACHE_HOME to one, or HOME"});
  return copy(from, line_.cache + kModels + from.content(), named, progress);
}

std::string StageFetch::copy_from_hub(const StageWish& wish, PullProgress& progress) const {
  const HfName name = parse_hf_name(model_.substr(sizeof(kHub) - 1));
  const HubPlace hub = hub_place(line_.hub.endpoint, line_.hub.token);
  const FetchWatch watch = progress.watch();
  Http http({hub.token, origin_of(hub.endpoint), kSilenceMax, watch.stopped});
  const HubListing listing = list_hub(http, hub, name, watch);
  const HubChoice choice = choose_files(listing, name);
  HubFiles from(http, hub, name, listing.commit, choice.files);
  return copy(from, folder_in_cache(listing.commit), wish, progress);
}

std::unique_ptr<ModelSource> StageFetch::fetch(LayerRange layers, bool head) const {
  PullProgress progress(isatty(STDERR_FILENO));
  const StageWish wish{layers, head};
  std::string path;
  try {
    path = copy_from_peer(wish, progress);
  } catch (const Fault& fault) {
    if (!model_.starts_with(kHub) || fault.kind() == FaultKind::canceled) throw;
    progress.note(std::string(fault.what()) + "; asking the hub for " + model_);
    path = copy_from_hub(wish, progress);
  }
  if (progress.came()) progress.note("fetched " + progress.summary() + " of " + model_);
  return open_model(path);
}

}  // namespace potluck
