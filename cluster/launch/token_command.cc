// potluck token: makes the words that let other machines join this one's cluster, lists them and
// the machines that came, and takes both back.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/json_line.h"
#include "cluster/cli/time_text.h"
#include "cluster/launch/control_port.h"
#include "cluster/ring/key_file.h"
#include "coordinator/control/running_cluster.h"
#include "coordinator/membership/admission.h"
#include "coordinator/membership/guest_book.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"
#include "topology/base/wall_clock.h"
#include "transport/proof/join_token.h"
#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {

constexpr int kHostsMax = 1000;

struct TokenFlags {
  std::string ttl = "24h", what, name = kClusterName;
  std::vector<std::string> addresses;
  int hosts = 0;
  bool json = false;
};

nlohmann::json json_of(const TokenRecord& token, int64_t now) {
  return {{"id", token_id(token.hash)}, {"created", token.created},
          {"expires", token.expires},   {"hosts_max", token.hosts_max},
          {"hosts", token.hosts},       {"over", why_over(token, now).value_or("")}};
}

// Where the cluster's coordinator listens, or would by itself if it is not up yet.
std::vector<std::string> addresses_of_cluster(const TokenFlags& flags, const CommandLine& line) {
  const RunningCluster running(line.state, flags.name);
  const auto state = running.read();
  if (!running.is_up() || !state || state->phase != ClusterState::Phase::up) {
    std::fprintf(stderr,
                 "no cluster \"%s\" is up yet, so the token leads to port %d of this machine\n",
                 flags.name.c_str(), kControlPort);
    return control_addresses();
  }
  const auto endpoint = parse_endpoint(state->endpoint);
  if (!endpoint || !state->joins)
    throw Fault(FaultKind::input, "the cluster \"" + flags.name + "\" lets no machine join",
                Fix{"start it without --no-join, or with --join"});
  if (is_any_address(*endpoint)) return control_addresses(endpoint->port);
  return {endpoint->host + ":" + std::to_string(endpoint->port)};
}

int create(const TokenFlags& flags, const CommandLine& line) {
  const int64_t now = unix_seconds();
  JoinToken token;
  token.cluster_key = KeyFile(line.config).read_or_make().public_key;
  token.addresses = flags.addresses.empty() ? addresses_of_cluster(flags, line)
                                            : control_addresses_of(flags.addresses);
  token.secret = random_bytes(kTokenSecretBytes);
  const TokenRecord record{
      token_hash(token.secret), now, now + parse_ttl(flags.ttl), flags.hosts, {}, false};
  change_guest_book(guest_book_file(line.state),
                    [&](GuestBook& book) { add_token(book, record, now); });
  const std::string text = token_text(token);
  if (flags.json) {
    nlohmann::json json = json_of(record, now);
    json["token"] = text;
    json["addresses"] = token.addresses;
    std::puts(json_line(json).c_str());
    return 0;
  }
  std::puts(text.c_str());
  std::fprintf(stderr, "on the other machine, within %s: potluck join TOKEN\n", flags.ttl.c_str());
  return 0;
}

std::string came_text(const TokenRecord& token) {
  const size_t came = token.hosts.size();
  if (token.hosts_max) return fmt::format("{} of {} machines", came, token.hosts_max);
  return count_text(came, "machine") + " so far";
}

void print_tokens(const GuestBook& book, int64_t now) {
  for (const TokenRecord& token : book.tokens) {
    const auto over = why_over(token, now);
    std::puts(fmt::format("token {}  {}  {}", token_id(token.hash), came_text(token),
                          over ? *over : "for " + span_text(token.expires - now))
                  .c_str());
  }
  if (book.tokens.empty()) std::fputs("no tokens; potluck token create makes one\n", stderr);
  for (const Guest& guest : book.guests)
    std::puts(fmt::format("machine {}  key {}  {}", one_line(guest.name), guest.key,
                          guest.revoked ? "shut out" : "may join")
                  .c_str());
}

int list(const TokenFlags& flags, const CommandLine& line) {
  const int64_t now = unix_seconds();
  const GuestBook book = read_guest_book(guest_book_file(line.state));
  if (!flags.json) return print_tokens(book, now), 0;
  nlohmann::json json = {{"tokens", nlohmann::json::array()},
                         {"machines", nlohmann::json::array()}};
  for (const TokenRecord& token : book.tokens) json["tokens"].push_back(json_of(token, now));
  for (const Guest& guest : book.guests)
    json["machines"].push_back({{"name", guest.name},
                                {"key", guest.key},
                                {"since", guest.since},
                                {"revoked", guest.revoked}});
  std::puts(json_line(json).c_str());
  return 0;
}

// A coordinator that runs sees it at the machine's next word, some seconds later.
int revoke_one(const TokenFlags& flags, const CommandLine& line) {
  std::vector<std::string> shut_out;
  change_guest_book(guest_book_file(line.state),
                    [&](GuestBook& book) { shut_out = revoke(book, flags.what); });
  std::fprintf(stderr, "%s\n",
               shut_out.empty() ? "the token lets nobody in any more; machines that came by it stay"
                                : "the machine is shut out for ever");
  return 0;
}

}  // namespace

void add_token(CommandLine& line) {
  const auto flags = std::make_shared<TokenFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "token", "let other machines join this one's cluster, see which may, and take it back");
  sub->require_subcommand(1);
  CLI::App* made = sub->add_subcommand("create", "print a new token for potluck join");
  made->add_option("--ttl", flags->ttl, "how long it lets machines in: 30m, 24h, 7d")
      ->capture_default_str();
  whole_number(made->add_option("--hosts", flags->hosts,
                                "how many machines may join by it (default: any number)"),
               "N", 1, kHostsMax);
  made->add_option(
          "--address", flags->addresses,
          "where others reach this machine, HOST or HOST:PORT; once for each (default: its "
          "own addresses)")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  made->add_option("--name", flags->name, "the name of the cluster, if there are several")
      ->capture_default_str();
  made->add_flag("--json", flags->json, "print one JSON object");
  made->callback([&line, flags] { line.chosen = [&line, flags] { return create(*flags, line); }; });
  CLI::App* listed = sub->add_subcommand("list", "show tokens, and the machines that may join");
  listed->add_flag("--json", flags->json, "print one JSON object");
  listed->callback([&line, flags] { line.chosen = [&line, flags] { return list(*flags, line); }; });
  CLI::App* ended = sub->add_subcommand("revoke", "end a token, or shut a machine out for ever");
  ended
      ->add_option("WHAT", flags->what,
                   "a token's id, or a machine's name or key, as list has them")
      ->required();
  ended->callback(
      [&line, flags] { line.chosen = [&line, flags] { return revoke_one(*flags, line); }; });
}

}  // namespace potluck
