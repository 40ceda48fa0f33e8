// potluck pull: fetches a model from a hub into the cache, or the tensors of some layers of it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/pull_progress.h"
#include "cluster/ring/key_file.h"
#include "cluster/ring/peer_files.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"
#include "topology/base/text.h"
#include "topology/hub/hub_cache.h"
#include "topology/hub/hub_files.h"
#include "topology/hub/local_files.h"
#include "topology/hub/stage_copy.h"
#include "topology/model/hf_cache.h"
#include "topology/model/partial_copy.h"

namespace potluck {
namespace {

struct PullFlags {
  std::string model;
  std::string layers;  // empty: none were asked for
  bool head = false;
  std::string to;   // empty: the cache
  std::string key;  // of the peer
  bool from_peer() const { return model.starts_with("tcp://") || model.starts_with("ipc://"); }
  bool partial() const { return head || !layers.empty(); }
};

LayerRange read_layers(const std::string& text) {
  LayerRange layers;
  const size_t colon = text.find(':');
  const auto number = [&](size_t begin, size_t end, int& value) {
    const auto [stop, error] = std::from_chars(&text[begin], text.data() + end, value);
    return error == std::errc() && stop == text.data() + end && value >= 0;
  };
  if (colon == std::string::npos || !number(0, colon, layers.begin) ||
      !number(colon + 1, text.size(), layers.end) || layers.begin >= layers.end)
    throw Fault(FaultKind::input, "--layers \"" + text + "\" is no range of layers",
                Fix{"give a half-open range like 4:9, which is the layers 4 to 8"});
  return layers;
}

StageWish wish_of(const PullFlags& flags) {
  return {flags.layers.empty() ? LayerRange{} : read_layers(flags.layers), flags.head};
}

void pull_stage(ModelFiles& from, const std::string& folder, const StageWish& wish,
                PullProgress& progress) {
  const FetchWatch watch = progress.watch();
  const StageCopy copy = copy_stage(from, folder, wish, watch);
  progress.note("fetched " + progress.summary() + "; what was asked for takes " +
                bytes_text(copy.stage_bytes));
  for (const std::string& note : open_model(copy.path)->notes()) progress.note(note);
  std::puts(copy.path.c_str());
}

void pull_whole(ModelFiles& from, const CachePlace& place, PullProgress& progress) {
  const FetchWatch watch = progress.watch();
  fetch_to_cache(from, place, watch);
  const std::string locator = "hf:" + place.name.text();
  const CachedModel found = find_cached(place.name.text(), place.hub);
  open_model(locator, {place.hub, ""});
  progress.note("fetched " + progress.summary() + "; potluck run -m " + locator + " takes it");
  std::puts(found.path.c_str());
}

void pull_from_hub(const PullFlags& flags, const ModelPlaces& places, const HubAccess& access,
                   PullProgress& progress) {
  const HfName name = parse_hf_name(flags.model.substr(3));
  const HubPlace hub = hub_place(access.endpoint, access.token);
  const FetchWatch watch = progress.watch();
  Http http({hub.token, origin_of(hub.endpoint), kSilenceMax, watch.stopped});
  const HubListing listing = list_hub(http, hub, name, watch);
  const HubChoice choice = choose_files(listing, name);
  progress.note("hf:" + name.text() + ": " + choice.note);
  HubFiles from(http, hub, name, listing.commit, choice.files);
  const CachePlace place{places.hub, name, listing.commit};
  if (!flags.partial()) return pull_whole(from, place, progress);
  const std::string folder = flags.to.empty() ? places.hub + "/" + hf_folder(name) + "/" +
                                                    kPartialFolder + "/" + listing.commit
                                              : flags.to;
  pull_stage(from, folder, wish_of(flags), progress);
}

void check_flags(const PullFlags& flags) {
  const bool hub = flags.model.starts_with("hf:");
  if (!flags.to.empty() && !flags.partial())
    throw Fault(FaultKind::input, "--to takes a partial copy",
                Fix{"add --layers or --head, or leave --to out: a whole model goes to the Hugging "
                    "Face cache"});
  if (!hub && (flags.to.empty() || !flags.partial()))
    throw Fault(
        FaultKind::input, flags.model + " does not name a model of the Hugging Face hub",
        Fix{"give hf:OWNER/REPO[:QUANT]; from elsewhere a part of a model can be copied: add "
            "--to, and --layers or --head"});
  if (!flags.key.empty() && !flags.from_peer())
    throw Fault(FaultKind::input, "--key is for a machine that shares its model",
                Fix{"leave it out, or give tcp://HOST:PORT"});
  wish_of(flags);  // a bad range is refused before anybody is asked
}

PeerFiles reach_peer(const PullFlags& flags, const KeyFile& keys) {
  try {
    return PeerFiles({flags.model, flags.key}, [keys] { return keys.read_or_make(); });
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::lost || flags.key.empty()) throw;
    throw Fault(
        fault.kind(), fault.text(),
        Fix{"see that --key is what potluck share shows there, and that it was started with "
            "--allow and what potluck key shows here"});
  }
}

void pull_from_peer(const PullFlags& flags, const CommandLine& line, PullProgress& progress) {
  const KeyFile keys(line.config);
  const bool locked = flags.model.starts_with("tcp://");
  if (locked && !is_key(flags.key))
    throw Fault(FaultKind::input,
                flags.key.empty() ? "--key is missing" : "--key " + flags.key + " is no key",
                Fix{"give the " + std::to_string(kKeyDigits) +
                    " digits that potluck share shows at " + flags.model});
  PeerFiles from = reach_peer(flags, keys);
  StageWish wish = wish_of(flags);
  wish.content = from.content();
  pull_stage(from, flags.to, wish, progress);
}

int run_pull(const PullFlags& flags, const CommandLine& line) {
  check_flags(flags);
  catch_interrupts();
  PullProgress progress(isatty(STDERR_FILENO));
  if (flags.model.starts_with("hf:")) {
    pull_from_hub(flags, line.places, line.hub, progress);
  } else if (flags.from_peer()) {
    pull_from_peer(flags, line, progress);
  } else {
    LocalFiles from(flags.model);
    pull_stage(from, flags.to, wish_of(flags), progress);
  }
  return 0;
}

}  // namespace

void add_pull(CommandLine& line) {
  const auto flags = std::make_shared<PullFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "pull", "fetch a model from the Hugging Face hub, or only the layers that run here");
  sub->add_option(
         "model", flags->model,
         "hf:OWNER/REPO[:QUANT]; with --to, and --layers or --head, also the tcp://HOST:PORT "
         "of potluck share on another machine, or a .gguf file or safetensors folder "
         "that is mounted here")
      ->required()
      ->type_name("MODEL");
  sub->add_option(
         "--layers", flags->layers,
         "fetch these layers alone, as a partial copy of the model: 0:5 is the layers 0 to 4")
      ->type_name("BEGIN:END");
  sub->add_flag("--head", flags->head,
                "fetch what the head needs, alone or beside --layers, as a partial copy");
  CLI::Option* to = sub->add_option("--to", flags->to,
                                    "folder of the partial copy (default: the Hugging Face cache)");
  file_name(to);
  to->type_name("FOLDER");
  sub->add_option("--key", flags->key, "with tcp://: the key that potluck share shows there")
      ->type_name("KEY");
  sub->callback(
      [&line, flags] { line.chosen = [flags, &line] { return run_pull(*flags, line); }; });
}

}  // namespace potluck
