// potluck key: shows the public key of this machine, and makes its keys where there are none.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/json_line.h"
#include "cluster/ring/key_file.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

struct KeyFlags {
  bool renew = false, force = false, json = false;
};

int run_key(const KeyFlags& flags, const std::string& folder) {
  if (flags.force && !flags.renew)
    throw Fault(FaultKind::input, "--force goes with --new alone; leave it out");
  const KeyFile file(folder);
  const bool existed = file.exists();
  if (flags.renew && existed && !flags.force)
    throw Fault(FaultKind::input, file.path() + " holds a key already",
                Fix{"plans and workers that name it would have to be told the new one; --new "
                    "--force replaces it"});
  const LockKeys keys = flags.renew ? file.replace() : file.read_or_make();
  const bool made = flags.renew || !existed;
  if (made) std::fprintf(stderr, "made a new key: %s\n", file.path().c_str());
  if (flags.json)
    std::puts(json_line({{"key", keys.public_key}, {"file", file.path()}, {"made", made}}).c_str());
  else
    std::puts(keys.public_key.c_str());
  return 0;
}

}  // namespace

void add_key(CommandLine& line) {
  const auto flags = std::make_shared<KeyFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "key", "show this machine's public key, for others' plans and workers, or make it");
  sub->add_flag("--new", flags->renew, "make a new one, where there is none yet");
  sub->add_flag("--force", flags->force, "with --new: replace the one that there is");
  sub->add_flag("--json", flags->json, "print one JSON object");
  sub->callback([&line, flags] {
    line.chosen = [flags, folder = line.config] { return run_key(*flags, folder); };
  });
}

}  // namespace potluck
