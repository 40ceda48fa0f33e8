// Reads clusters field by field with file and line.
#include "topology/cluster/cluster_yaml.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "topology/base/quantity.h"
#include "topology/cluster/cluster_check.h"
#include "topology/cluster/cluster_measured.h"
#include "topology/cluster/courtesy.h"
#include "topology/cluster/known_cards.h"
#include "topology/model/mapped_file.h"
#include "topology/plan/plan.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/plan_yaml_fields.h"

namespace potluck {
namespace {

constexpr size_t kHostsMax = 1024, kDevicesMax = 64;
constexpr size_t kNameBytesMax = 48;  // a worker's name adds to it
constexpr int kPortMax = 65535, kCanvasesMax = 64;
constexpr int kCelsiusMin = 30, kCelsiusMax = 120;
constexpr uint64_t kMemoryMin = 16 << 20;  // less is a size without its unit
constexpr char kVersion[] = "1";

constexpr std::string_view kClusterKeys[] = {
    "version", "model", "coordinator", "head", "options", "network", "hosts", "links", "measured"};
constexpr std::string_view kOptionKeys[] = {
    "context", "sessions", "canvases", "objective", "precision", "transport", "insecure_plaintext"};
constexpr std::string_view kNetworkKeys[] = {"latency", "bandwidth", "hop"};
constexpr std::string_view kHostKeys[] = {"name", "here",  "ssh",     "addresses", "ports",
                                          "key",  "model", "program", "trusted",   "devices"};
constexpr std::string_view kDeviceKeys[] = {"name",  "device", "memory", "threads", "card",
                                            "speed", "role",   "power",  "yield"};
constexpr std::string_view kSpeedKeys[] = {"sliding_layer", "full_layer", "head", "message"};
constexpr std::string_view kYieldKeys[] = {"when_busy", "hours", "temperature"};
constexpr std::string_view kLinkKeys[] = {"from", "to", "latency", "bandwidth", "hop", "both"};
constexpr std::string_view kObjectives[] = {"latency", "throughput"};
constexpr std::string_view kTransports[] = {"zmq", "inproc"};
constexpr std::string_view kHops[] = {"int8", "bf16"};
constexpr std::string_view kRoles[] = {"head", "layers", "no-head", "spare"};

// Letters, digits, dots, dashes, underlines and letters beyond ASCII, so that a name is one word
// on a command line and never a flag.
std::string read_name(const YamlFields& fields, const std::string& name) {
  const auto is_inner = [](unsigned char c) {
    return std::isalnum(c) || c >= 0x80 || c == '.' || c == '-' || c == '_';
  };
  const int line = fields.line_of("name");
  fields.check_name(name, kNameBytesMax);
  if (!std::all_of(name.begin(), name.end(), is_inner) || name[0] == '-' || name[0] == '.')
    fields.refuse("\"name\" is \"" + name + "\"",
                  "use letters, digits, \"-\", \"_\" and \".\", a letter or digit first", line);
  return name;
}

// One that a command line or ssh cannot take for a flag.
std::string read_argument(const YamlFields& fields, const std::string& key) {
  const std::string text = fields.word_or(key, "");
  if (text.rfind('-', 0) == 0)
    fields.refuse("\"" + key + "\" is \"" + text + "\", which would be taken for a flag",
                  "it must not begin with \"-\"", fields.line_of(key));
  return text;
}

std::string read_ssh(const YamlFields& fields) {
  const std::string text = read_argument(fields, "ssh");
  if (text.find(' ') != std::string::npos)
    fields.refuse("\"ssh\" is \"" + text + "\"",
                  "give USER@HOST alone, and put its port and keys into ~/.ssh/config",
                  fields.line_of("ssh"));
  return text;
}

void read_ports(const YamlFields& fields, HostSpec& host) {
  const YamlNode* node = fields.find("ports");
  if (!node) return;
  const std::string& text = fields.word("ports", *node);
  const bool alone = text.find('-') == std::string::npos;
  const auto range = range_in(alone ? text + "-" + text : text, '-');
  if (!range || range->first < 1 || range->second > kPortMax || range->second < range->first)
    fields.refuse("\"ports\" is \"" + text + "\"",
                  "it must be a range within 1-65535, like 7000-7010", node->line);
  host.port_first = range->first;
  host.port_last = range->second;
}

DeviceSpeed read_speed(const YamlNode& node, const std::string& device, const std::string& file) {
  const YamlFields fields(node, "the speed of \"" + device + "\"", file);
  fields.check_keys(kSpeedKeys);
  const char* example =
      "give the time of a layer for 256 tokens: sliding_layer: 2.1ms, full_layer: 2.4ms";
  fields.need("sliding_layer", example);
  fields.need("full_layer", example);
  DeviceSpeed speed;
  speed.sliding_layer_ms = fields.quantity_or("sliding_layer", 0, parse_ms);
  speed.full_layer_ms = fields.quantity_or("full_layer", 0, parse_ms);
  speed.head_ms = fields.quantity_or("head", 0, parse_ms);
  speed.message_ms = fields.quantity_or("message", 0, parse_ms);
  return speed;
}

Courtesy read_yield(const YamlNode& node, const std::string& device, const std::string& file) {
  const YamlFields fields(node, "\"yield\" of \"" + device + "\"", file);
  fields.check_keys(kYieldKeys);
  Courtesy courtesy;
  courtesy.when_busy = fields.flag_or("when_busy", false);
  courtesy.hours = fields.word_or("hours", "");
  if (fields.find("hours") && !is_hours(courtesy.hours))
    fields.refuse("\"hours\" is \"" + courtesy.hours + "\"",
                  "write from when to when potluck may compute, in quotes: \"22:00-08:00\"",
                  fields.line_of("hours"));
  if (fields.find("hours") && is_empty_span(courtesy.hours))
    fields.refuse("\"hours\" is \"" + courtesy.hours + "\", which ends as it begins",
                  "give two times, or delete it where potluck may always compute",
                  fields.line_of("hours"));
  courtesy.celsius_max = fields.integer_within("temperature", 0, kCelsiusMin, kCelsiusMax);
  return courtesy;
}

void read_role(const YamlFields& fields, bool trusted, DeviceSpec& device) {
  const auto roles = fields.words("role");
  for (const std::string& role : roles)
    if (std::find(std::begin(kRoles), std::end(kRoles), role) == std::end(kRoles))
      fields.refuse("\"role\" is \"" + role + "\"",
                    "it can be head, layers, no-head (layers alone), spare, or a list of them",
                    fields.line_of("role"));
  const auto has = [&roles](const char* role) {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
  };
  if (has("head") && has("no-head"))
    fields.refuse("\"role\" of \"" + device.name + "\" is both head and no-head", "delete one",
                  fields.line_of("role"));
  if (has("head") && !trusted)
    fields.refuse("\"role\" of \"" + device.name + "\" is head, and its host is \"trusted: false\"",
                  "a head sees the text: give it \"role: layers\", or trust its host",
                  fields.line_of("role"));
  const bool named = has("head") || has("layers");
  device.may_be_head = trusted && !has("no-head") && (!named || has("head"));
  device.may_hold_layers = !named || has("layers") || has("no-head");
  device.spare = has("spare");
}

std::string default_name(const HostSpec& host, const std::string& device, bool several) {
  std::string name = host.name;
  if (several) name += "-" + device;
  name.erase(std::remove(name.begin(), name.end(), ':'), name.end());
  return name;
}

void check_device(const YamlFields& fields, const std::string& key, const std::string& device) {
  if (!is_device(device))
    fields.refuse("\"" + key + "\" is \"" + device + "\"", "it can be cpu, cuda:N or hip:N",
                  fields.line_of(key));
}

// AMD's cards are hip, also where they are emulated under names of their own.
std::string vendor_of(const std::string& device) {
  const std::string vendor = card_vendor(device);
  if (vendor.empty()) return "cpu";
  return vendor == "rdna" ? "hip" : vendor == "pascal" ? "cuda" : vendor;
}

void read_card(const YamlFields& fields, DeviceSpec& device) {
  device.card = fields.word_or("card", "");
  if (device.card.empty()) return;
  const KnownCard* card = find_card(device.card);
  const int line = fields.line_of("card");
  if (!card)
    fields.refuse("\"card\" is \"" + device.card + "\"", card_suggestion(device.card), line);
  const std::string vendor(card->vendor);
  if (vendor == vendor_of(device.device)) return;
  fields.refuse(
      "\"card\" of \"" + device.name + "\" is " + device.card + ", and its device is " +
          device.device,
      "write \"device: " + vendor + (vendor == "cpu" ? "" : ":0") + "\", or the card that it is",
      line);
}

void read_device_fields(const YamlFields& fields, const HostSpec& host, DeviceSpec& device) {
  read_card(fields, device);
  device.memory_bytes = fields.bytes_or("memory", 0);
  if (device.memory_bytes && device.memory_bytes < kMemoryMin)
    fields.refuse("\"memory\" of \"" + device.name + "\" is " +
                      std::to_string(device.memory_bytes) + " bytes",
                  "write its unit: 11GiB", fields.line_of("memory"));
  device.threads = fields.integer_within("threads", 0, 0, kThreadsMax);
  if (const YamlNode* speed = fields.find("speed"))
    device.speed = read_speed(*speed, device.name, fields.file());
  if (const YamlNode* yield = fields.find("yield"))
    device.courtesy = read_yield(*yield, device.name, fields.file());
  device.courtesy.watts_max = fields.quantity_or("power", 0, parse_watts);
  read_role(fields, host.trusted, device);
}

DeviceSpec read_device(const YamlNode& node, const YamlFields& host_fields, const HostSpec& host,
                       bool several) {
  DeviceSpec device;
  device.line = node.line;
  device.may_be_head = host.trusted;
  if (node.kind == YamlNode::Kind::scalar) {
    device.device = node.scalar;
    if (!is_device(device.device))
      host_fields.refuse("\"devices\" has \"" + device.device + "\"",
                         "it can be cpu, cuda:N or hip:N", node.line);
    device.name = default_name(host, device.device, several);
    return device;
  }
  const YamlFields fields(node, "a device of \"" + host.name + "\"", host_fields.file());
  fields.check_keys(kDeviceKeys);
  device.device = fields.word_or("device", device.device);
  check_device(fields, "device", device.device);
  device.name =
      read_name(fields, fields.word_or("name", default_name(host, device.device, several)));
  read_device_fields(fields, host, device);
  return device;
}

void read_devices(const YamlFields& fields, HostSpec& host) {
  const YamlNode* list = fields.find_list("devices", "begin each device with \"- \"");
  if (!list) {
    DeviceSpec cpu;
    cpu.name = host.name;
    cpu.may_be_head = host.trusted;
    cpu.line = host.line;
    host.devices.push_back(cpu);
    return;
  }
  if (list->items.size() > kDevicesMax)
    fields.refuse("\"" + host.name + "\" has " + std::to_string(list->items.size()) + " devices",
                  "list at most " + std::to_string(kDevicesMax), list->line);
  for (const YamlNode& node : list->items)
    host.devices.push_back(read_device(node, fields, host, list->items.size() > 1));
}

void read_place(const YamlFields& fields, HostSpec& host) {
  const bool here = fields.flag_or("here", false);
  host.ssh = read_ssh(fields);
  if (here && !host.ssh.empty())
    fields.refuse("\"" + host.name + "\" has \"here: true\" and \"ssh: " + host.ssh + "\"",
                  "delete one: this machine needs no ssh", fields.line_of("ssh"));
  if (!here && host.ssh.empty())
    fields.refuse("\"" + host.name + "\" has no \"ssh\"",
                  "say how to reach it (ssh: me@nas), or \"here: true\" for this machine",
                  fields.line());
}

HostSpec read_host(const YamlNode& node, size_t index, const std::string& file) {
  const YamlFields fields(node, "host " + std::to_string(index + 1), file);
  fields.check_keys(kHostKeys);
  HostSpec host;
  host.line = node.line;
  host.name = read_name(fields, fields.word("name", fields.need("name", "give it one: name: nas")));
  read_place(fields, host);
  host.addresses = fields.words("addresses");
  host.addresses_line = fields.line_of("addresses");
  read_ports(fields, host);
  host.ports_line = fields.line_of("ports");
  host.key = fields.machine_key("key");
  host.key_line = fields.line_of("key");
  host.model = read_argument(fields, "model");
  host.program = read_argument(fields, "program");
  host.trusted = fields.flag_or("trusted", true);
  host.trusted_line = fields.line_of("trusted");
  read_devices(fields, host);
  return host;
}

LinkSpec read_figures(const YamlFields& fields, bool may_be_lossy) {
  LinkSpec link;
  link.line = fields.line();
  link.latency_ms = fields.quantity_or("latency", 0, parse_ms);
  link.mbit_per_s = fields.quantity_or("bandwidth", 0, parse_mbit_per_s);
  link.may_be_lossy = fields.choice_or("hop", kHops, may_be_lossy ? "int8" : "bf16") == "int8";
  return link;
}

LinkSpec read_network(const YamlNode& node, const std::string& file) {
  const YamlFields fields(node, "the network", file);
  fields.check_keys(kNetworkKeys);
  fields.need("bandwidth", "give its nominal rate: bandwidth: 1gbit");
  LinkSpec network = read_figures(fields, false);
  if (network.latency_ms == 0) network.latency_ms = kLatencyAssumedMs;
  network.source = Source::assumed;
  return network;
}

enum class Directions { one, both, both_unless_stated };

struct StatedLink {
  LinkSpec link;
  Directions directions;
};

StatedLink read_link(const YamlNode& node, size_t index, const ClusterSpec& cluster) {
  const YamlFields fields(node, "link " + std::to_string(index + 1), cluster.file);
  fields.check_keys(kLinkKeys);
  LinkSpec link = read_figures(fields, cluster.network && cluster.network->may_be_lossy);
  link.from = fields.word("from", fields.need("from", "name the host that sends: from: desk"));
  link.to = fields.word("to", fields.need("to", "name the host that receives: to: nas"));
  return {link, !fields.find("both")           ? Directions::both_unless_stated
                : fields.flag_or("both", true) ? Directions::both
                                               : Directions::one};
}

// The links in all their directions. A pair that is there twice is found by validate.
void read_links(const YamlNode& list, ClusterSpec& cluster) {
  std::vector<StatedLink> stated;
  for (const YamlNode& node : list.items) stated.push_back(read_link(node, stated.size(), cluster));
  std::set<std::pair<std::string, std::string>> pairs;
  for (const StatedLink& one : stated) {
    cluster.links.push_back(one.link);
    pairs.insert({one.link.from, one.link.to});
  }
  for (const auto& [link, directions] : stated) {
    if (directions == Directions::one) continue;
    if (directions == Directions::both_unless_stated && pairs.count({link.to, link.from})) continue;
    LinkSpec back = link;
    std::swap(back.from, back.to);
    cluster.links.push_back(back);
  }
}

ClusterOptions read_options(const YamlNode& node, const std::string& file) {
  const YamlFields fields(node, "\"options\"", file);
  fields.check_keys(kOptionKeys);
  ClusterOptions options;
  options.context = fields.integer_within("context", options.context, 1, kContextMax);
  options.context_line = fields.line_of("context");
  options.sessions = fields.integer_within("sessions", options.sessions, 1, kSessionsMax);
  options.canvases = fields.integer_within("canvases", options.canvases, 1, kCanvasesMax);
  if (fields.find("sessions") && options.sessions < options.canvases)
    fields.refuse("\"sessions\" is " + std::to_string(options.sessions) + ", and \"canvases\" is " +
                      std::to_string(options.canvases) + ": each in flight needs a session",
                  "write sessions: " + std::to_string(options.canvases) + ", or delete it",
                  fields.line_of("sessions"));
  options.objective = fields.choice_or("objective", kObjectives, options.objective);
  options.precision = fields.precision_or("precision", options.precision);
  options.transport = fields.choice_or("transport", kTransports, options.transport);
  options.insecure_plaintext = fields.flag_or("insecure_plaintext", false);
  return options;
}

// Gives listed links the figures of the network where neither the file nor a measurement has them.
// A link of which nothing is known then is left out.
void complete_links(ClusterSpec& cluster) {
  for (LinkSpec& link : cluster.links) {
    if (link.mbit_per_s == 0 && cluster.network) {
      link.mbit_per_s = cluster.network->mbit_per_s;
      link.source = Source::assumed;
    }
    if (link.latency_ms == 0 && link.mbit_per_s > 0)
      link.latency_ms = cluster.network ? cluster.network->latency_ms : kLatencyAssumedMs;
  }
  std::erase_if(cluster.links, [](const LinkSpec& link) { return link.mbit_per_s == 0; });
}

ClusterSpec read_root(const YamlNode& root, const std::string& file) {
  const YamlFields fields(root, "the cluster", file);
  fields.check_version(kVersion);
  fields.check_keys(kClusterKeys);
  ClusterSpec cluster;
  cluster.file = file;
  cluster.model = read_argument(fields, "model");
  cluster.model_line = fields.line_of("model");
  cluster.coordinator = fields.word_or("coordinator", "");
  cluster.coordinator_line = fields.line_of("coordinator");
  cluster.head = fields.word_or("head", "");
  cluster.head_line = fields.line_of("head");
  if (const YamlNode* options = fields.find("options"))
    cluster.options = read_options(*options, file);
  if (const YamlNode* network = fields.find("network"))
    cluster.network = read_network(*network, file);
  fields.need("hosts", "list the machines, each with \"- name: \"");
  const YamlNode& hosts = *fields.find_list("hosts", "begin each host with \"- name: \"");
  if (hosts.items.size() > kHostsMax)
    fields.refuse("there are " + std::to_string(hosts.items.size()) + " hosts",
                  "list at most " + std::to_string(kHostsMax), hosts.line);
  for (const YamlNode& node : hosts.items)
    cluster.hosts.push_back(read_host(node, cluster.hosts.size(), file));
  if (const YamlNode* links = fields.find_list("links", "begin each link with \"- \""))
    read_links(*links, cluster);
  validate(cluster);
  if (const YamlNode* measured = fields.find("measured")) add_measured(*measured, cluster);
  complete_links(cluster);
  return cluster;
}

}  // namespace

ClusterSpec parse_cluster(const std::string& text, const std::string& file) {
  return read_root(parse_yaml(text, file), file);
}

ClusterSpec read_cluster(const std::string& path) {
  return parse_cluster(read_text_or_pipe(path, kClusterBytesMax), path);
}

}  // namespace potluck
