// potluck share: gives other machines a model that is here, so that they fetch their layers from
// it.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <set>

#include "cluster/cli/commands.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/log.h"
#include "cluster/ring/key_file.h"
#include "cluster/ring/model_share.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"

namespace potluck {
namespace {

struct ShareFlags {
  std::string model, listen = "tcp://127.0.0.1:7010";
  std::vector<std::string> allow;
  LogOptions log;
};

constexpr Duration kLook = std::chrono::milliseconds(200);  // how often an interrupt is looked for

std::set<std::string> allowed_keys(const ShareFlags& flags) {
  for (const std::string& key : flags.allow)
    if (!is_key(key))
      throw Fault(FaultKind::input, "--allow " + key + " is no key",
                  Fix{"it must be the " + std::to_string(kKeyDigits) +
                      " digits that potluck key shows on the other machine"});
  return {flags.allow.begin(), flags.allow.end()};
}

int run_share(const ShareFlags& flags, const CommandLine& line) {
  const std::set<std::string> allowed = allowed_keys(flags);
  if (!has_files(flags.model))
    throw Fault(FaultKind::input, "every machine that has potluck has " + flags.model,
                Fix{"share a .gguf file, a safetensors folder or hf:OWNER/REPO[:QUANT]"});
  set_up_log(flags.log);
  SharedModel model = shared_model(flags.model, line.places);
  const KeyFile keys(line.config);
  ControlServer server({[keys] { return keys.read_or_make(); }, {}});
  server.allow(allowed);
  share_model(server, model, {});
  const std::string endpoint = server.listen(flags.listen);
  spdlog::info("this machine's key is {}", keys.read_or_make().public_key);
  if (allowed.empty())
    spdlog::info(
        "no other machine may fetch; --allow KEY lets one, by what potluck key shows there");
  catch_interrupts();
  std::printf("listening on %s\n", endpoint.c_str());
  std::fflush(stdout);
  while (!interrupt_signal()) server.serve(now() + kLook);
  return 128 + interrupt_signal();
}

}  // namespace

void add_share(CommandLine& line) {
  const auto flags = std::make_shared<ShareFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "share", "give other machines a model that is here: potluck pull fetches layers from it");
  sub->add_option("-m,--model", flags->model,
                  "a .gguf file, a safetensors folder or hf:OWNER/REPO[:QUANT], whole or partial")
      ->required()
      ->type_name("MODEL");
  sub->add_option("--listen", flags->listen,
                  "where to listen: tcp://HOST:PORT, HOST being an address of this machine in "
                  "the others' network (a PORT of * is any free one), or ipc:///PATH")
      ->capture_default_str();
  sub->add_option(
         "--allow", flags->allow,
         "the public key of a machine that may fetch (what potluck key shows there); may be "
         "given several times")
      ->type_name("KEY")
      ->allow_extra_args(false);
  add_log_flags(sub, flags->log);
  sub->callback(
      [&line, flags] { line.chosen = [flags, &line] { return run_share(*flags, line); }; });
}

}  // namespace potluck
