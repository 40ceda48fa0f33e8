// Reads what doctor has measured, and writes it in place of what was there before.
#include "topology/cluster/cluster_measured.h"

#include <map>
#include <sstream>
#include <string_view>

#include "topology/base/byte_size.h"
#include "topology/base/fault.h"
#include "topology/base/quantity.h"
#include "topology/base/whole_file.h"
#include "topology/cluster/cluster_check.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/model/mapped_file.h"
#include "topology/plan/plan_yaml_fields.h"

namespace potluck {
namespace {

constexpr std::string_view kSectionKeys[] = {"devices", "links"};
constexpr std::string_view kDeviceKeys[] = {"name",       "device", "memory",  "sliding_layer",
                                            "full_layer", "head",   "message", "model"};
constexpr std::string_view kLinkKeys[] = {"from", "to", "latency", "bandwidth"};
constexpr char kSection[] = "measured", kAgain[] = "let \"potluck doctor --write\" write it again";

using Pair = std::pair<std::string, std::string>;

DeviceSpeed read_speed(const YamlFields& fields) {
  DeviceSpeed speed;
  speed.sliding_layer_ms = fields.quantity_or("sliding_layer", 0, parse_ms);
  speed.full_layer_ms = fields.quantity_or("full_layer", 0, parse_ms);
  speed.head_ms = fields.quantity_or("head", 0, parse_ms);
  speed.message_ms = fields.quantity_or("message", 0, parse_ms);
  speed.model = fields.word_or("model", "");
  speed.source = Source::measured;
  if ((speed.sliding_layer_ms > 0) != (speed.full_layer_ms > 0))
    fields.refuse(fields.what() + " has the time of one kind of layer alone", kAgain,
                  fields.line());
  return speed;
}

void fill_in(const YamlFields& fields, DeviceSpec& device) {
  const uint64_t memory_bytes = fields.bytes_or("memory", 0);
  if (device.memory_bytes == 0 && memory_bytes > 0) {
    device.memory_bytes = memory_bytes;
    device.memory_source = Source::measured;
  }
  const DeviceSpeed measured = read_speed(fields);
  if (measured.sliding_layer_ms == 0) return;
  if (!device.speed) device.speed = measured;
  if (device.speed->head_ms == 0) device.speed->head_ms = measured.head_ms;
  if (device.speed->message_ms == 0) device.speed->message_ms = measured.message_ms;
}

// Each once: a second figure of the same would be a guess which one holds. What is of a host or
// device that is gone stays, until doctor writes the section again.
void check_once(std::map<Pair, int>& seen, const Pair& one, const YamlFields& fields) {
  const auto [first, is_new] = seen.insert({one, fields.line()});
  if (!is_new)
    fields.refuse(fields.what() + " appears twice, first in line " + std::to_string(first->second) +
                      ": \"" + one.first + "\", \"" + one.second + "\"",
                  "delete one, or " + std::string(kAgain), fields.line());
}

void add_devices(const YamlNode& list, ClusterSpec& cluster) {
  std::map<Pair, int> seen;
  for (const YamlNode& node : list.items) {
    const YamlFields fields(node, "a measured device", cluster.file);
    fields.check_keys(kDeviceKeys);
    const std::string name = fields.word("name", fields.need("name", kAgain));
    const std::string kind = fields.word("device", fields.need("device", kAgain));
    check_once(seen, {name, kind}, fields);
    for (HostSpec& host : cluster.hosts)
      for (DeviceSpec& device : host.devices)
        if (device.name == name && device.device == kind) fill_in(fields, device);
  }
}

void fill_in(const LinkSpec& measured, LinkSpec& link) {
  if (link.latency_ms == 0) link.latency_ms = measured.latency_ms;
  if (link.mbit_per_s != 0) return;
  link.mbit_per_s = measured.mbit_per_s;
  link.source = Source::measured;
}

LinkSpec read_link(const YamlNode& node, std::map<Pair, int>& seen, const std::string& file) {
  const YamlFields fields(node, "a measured link", file);
  fields.check_keys(kLinkKeys);
  LinkSpec link;
  for (const char* key : {"from", "to", "latency", "bandwidth"}) fields.need(key, kAgain);
  link.from = fields.word_or("from", "");
  link.to = fields.word_or("to", "");
  if (link.from == link.to)
    fields.refuse("a measured link goes from \"" + link.from + "\" to itself",
                  "delete it: links are between hosts", node.line);
  check_once(seen, {link.from, link.to}, fields);
  link.latency_ms = fields.quantity_or("latency", 0, parse_ms);
  link.mbit_per_s = fields.quantity_or("bandwidth", 0, parse_mbit_per_s);
  link.source = Source::measured;
  link.line = node.line;
  return link;
}

void add_links(const YamlNode& list, ClusterSpec& cluster) {
  std::map<Pair, int> seen;
  std::map<Pair, size_t> places;
  for (size_t i = 0; i < cluster.links.size(); ++i)
    places[{cluster.links[i].from, cluster.links[i].to}] = i;
  for (const YamlNode& node : list.items) {
    LinkSpec link = read_link(node, seen, cluster.file);
    if (!find_host(cluster, link.from) || !find_host(cluster, link.to)) continue;
    const auto [place, is_new] = places.insert({{link.from, link.to}, cluster.links.size()});
    if (!is_new) {
      fill_in(link, cluster.links[place->second]);
      continue;
    }
    link.may_be_lossy = cluster.network && cluster.network->may_be_lossy;
    cluster.links.push_back(link);
  }
}

void write_device(std::ostream& out, const DeviceSpec& device) {
  const bool has_speed = device.speed && device.speed->source == Source::measured;
  const bool has_memory = device.memory_bytes && device.memory_source == Source::measured;
  if (!has_speed && !has_memory) return;
  const auto field = [&out](const char* key, double ms) {
    if (ms > 0) out << ", " << key << ": " << exact_ms_text(ms);
  };
  out << "    - {name: \"" << device.name << "\", device: \"" << device.device << '"';
  if (has_memory) out << ", memory: " << exact_bytes_text(device.memory_bytes);
  if (has_speed) {
    field("sliding_layer", device.speed->sliding_layer_ms);
    field("full_layer", device.speed->full_layer_ms);
    field("head", device.speed->head_ms);
    field("message", device.speed->message_ms);
    if (!device.speed->model.empty()) out << ", model: \"" << device.speed->model << '"';
  }
  out << "}\n";
}

// The section; empty where nothing was measured.
std::string section_text(const ClusterSpec& cluster) {
  std::ostringstream devices, links;
  for (const HostSpec& host : cluster.hosts)
    for (const DeviceSpec& device : host.devices) write_device(devices, device);
  for (const LinkSpec& link : cluster.links)
    if (link.source == Source::measured)
      links << "    - {from: \"" << link.from << "\", to: \"" << link.to
            << "\", latency: " << exact_ms_text(link.latency_ms)
            << ", bandwidth: " << exact_mbit_text(link.mbit_per_s) << "}\n";
  std::string text;
  if (!devices.str().empty()) text += "  devices:\n" + devices.str();
  if (!links.str().empty()) text += "  links:\n" + links.str();
  return text.empty() ? text : std::string(kSection) + ":\n" + text;
}

// Where line `number`, from 1, begins.
size_t line_at(const std::string& text, int number) {
  size_t at = 0;
  for (int i = 1; i < number && at < text.size(); ++i) {
    const size_t end = text.find('\n', at);
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return at;
}

// Blank lines and comments before a key belong to it, and not to the section above.
size_t without_comments_below(const std::string& text, size_t begin, size_t end) {
  while (end > begin) {
    const size_t line = end < 2 ? 0 : text.rfind('\n', end - 2) + 1;
    const bool blank = text.find_first_not_of(" \r\n", line) >= end;
    if (line <= begin || (!blank && text[line] != '#')) return end;
    end = line;
  }
  return end;
}

// The file with the section in the old one's place, or at its end.
std::string with_section(const std::string& text, const std::string& section,
                         const std::string& file) {
  const YamlNode root = parse_yaml(text, file);
  size_t begin = text.size(), end = text.size();
  for (size_t i = 0; i < root.keys.size(); ++i) {
    if (root.keys[i].name != kSection) continue;
    begin = line_at(text, root.keys[i].line);
    end = i + 1 < root.keys.size() ? line_at(text, root.keys[i + 1].line) : text.size();
    end = without_comments_below(text, begin, end);
  }
  std::string head = text.substr(0, begin);
  if (!head.empty() && head.back() != '\n') head += '\n';
  return head + section + text.substr(end);
}

}  // namespace

void add_measured(const YamlNode& section, ClusterSpec& cluster) {
  const YamlFields fields(section, "\"measured\"", cluster.file);
  fields.check_keys(kSectionKeys);
  if (const YamlNode* devices = fields.find_list("devices", kAgain)) add_devices(*devices, cluster);
  if (const YamlNode* links = fields.find_list("links", kAgain)) add_links(*links, cluster);
}

void write_measured(const std::string& path, const ClusterSpec& cluster) {
  const std::string text = read_text_or_pipe(path, kClusterBytesMax);
  const std::string updated = with_section(text, section_text(cluster), path);
  if (updated == text) return;
  parse_cluster(text, path);
  try {
    parse_cluster(updated, path);
  } catch (const Fault&) {
    throw Fault(FaultKind::input, "there is no place for a section \"measured\"",
                Fix{"write its keys on lines of their own, as in cluster/examples"}, path);
  }
  write_whole_file(path, updated);
}

}  // namespace potluck
