// Asks the system, the devices and the model's files, and measures what is not known from before.
#include "cluster/planning/host_report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "backends/cpu/cpu_layout.h"
#include "backends/cpu/free_memory.h"
#include "cluster/planning/carry.h"
#include "cluster/planning/disk.h"
#include "cluster/planning/machine_state.h"
#include "cluster/planning/speed_cache.h"
#include "cluster/planning/speed_json.h"
#include "cluster/ring/device_rooms.h"
#include "cluster/ring/device_speed.h"
#include "cluster/ring/devices.h"
#include "cluster/cli/interfaces.h"
#include "cluster/ring/key_file.h"
#include "cluster/ring/ring_plan.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/base/version.h"
#include "topology/model/partial_copy.h"
#include "topology/model/synthetic.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

// Everything that the parts of a report have in common.
struct Gathering {
  const HostQuestion& question;
  const HostPlaces& places;
  Devices devices;
  std::shared_ptr<const ModelSource> model;  // none: it is not there, and nothing is known of it
  bool is_twin = false;                      // it is not all there, and this one is made up
  std::vector<Finding> findings;
};

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

std::string system_name() {
  utsname name{};
  return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "";
}

ordered_json cpu_json(const Devices& devices) {
  const CpuLayout layout = cpu_layout();
  return {{"name", devices.cpu.name},
          {"instructions", devices.instructions},
          {"packages", layout.packages},
          {"memory_nodes", layout.memory_nodes},
          {"cores", layout.cores},
          {"threads", layout.threads},
          {"cache_bytes", layout.cache_bytes}};
}

ordered_json memory_json(Gathering& all) {
  const DeviceInfo& cpu = all.devices.cpu;
  return {{"bytes_total", cpu.bytes_total}, {"bytes_free", free_memory()}};
}

// Layers that a partial copy lacks are measured as if they were there.
void take_model(Gathering& all) {
  const std::string& name = all.question.model;
  try {
    all.model = open_model(name.empty() ? kReleasedQ4 : name, all.places.models);
    const std::string partial = partial_note(*all.model);
    all.is_twin = !partial.empty();
    if (!all.is_twin) return;
    all.model = make_twin(*all.model);
    all.findings.push_back({Severity::note, "", "the model is here in part: " + partial, ""});
  } catch (const Fault& fault) {
    const bool of_hub = name.rfind("hf:", 0) == 0;  // whose fault says how to fetch it
    const std::string fix = of_hub ? fault.fix().text
                                   : "copy it to " + name +
                                         " here, or name this machine's own copy (-m; "
                                         "in a cluster file, model: under the host)";
    const std::string what = "the model is not here: " + fault.text();
    all.is_twin = !all.question.shapes.empty();
    if (!all.is_twin) return all.findings.push_back({Severity::problem, "", what, fix});
    all.model = make_twin(all.question.shapes);
    all.findings.push_back(
        {Severity::warning, "", what, "potluck up copies the layers that it runs; or " + fix});
  }
}

ordered_json model_json(const Gathering& all) {
  if (!all.model) return {{"name", all.question.model}, {"there", false}};
  const auto& layers = all.model->spec().layers;
  const auto full = std::count_if(layers.begin(), layers.end(),
                                  [](const LayerSpec& layer) { return layer.full; });
  if (all.is_twin)
    return {{"name", all.question.model},
            {"there", false},
            {"sliding_layers", std::ssize(layers) - full},
            {"full_layers", full}};
  const Fingerprint print = fingerprint_of(*all.model);
  std::vector<Digest> parts = print.layers;
  parts.push_back(print.head);
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : all.model->tensors()) bytes += tensor.bytes;
  return {{"name", all.question.model},
          {"there", true},
          {"spec", digest_text(print.spec)},
          {"contents", digest_text(digest_bytes(parts.data(), parts.size() * sizeof(Digest)))},
          {"bytes", bytes},
          {"sliding_layers", std::ssize(layers) - full},
          {"full_layers", full},
          {"hidden", all.model->spec().hidden},
          {"canvas", all.model->spec().canvas}};
}

ordered_json interfaces_json() {
  ordered_json all = ordered_json::array();
  for (const NetworkInterface& each : find_interfaces())
    all.push_back({{"name", each.name},
                   {"kind", each.kind},
                   {"mtu", each.mtu},
                   {"mbit_per_s", each.mbit_per_s},
                   {"addresses", each.addresses}});
  return all;
}

std::vector<AskedDevice> devices_to_measure(const Gathering& all) {
  if (!all.question.devices.empty()) return all.question.devices;
  std::vector<AskedDevice> asked;
  for (const Card& card : all.devices.cards)
    if (card.problem.empty()) asked.push_back({card.device});
  asked.push_back({"cpu", all.question.threads});
  return asked;
}

// A description that changes when the device, or how it is used, does.
std::string device_text(const Gathering& all, const AskedDevice& asked) {
  std::string text = asked.device + " " + std::to_string(asked.threads) + " ";
  if (asked.device == "cpu") return text + all.devices.cpu.name + " " + all.devices.instructions;
  for (const Card& card : all.devices.cards)
    if (card.device == asked.device && card.facts)
      text += card.facts->name + " " + card.facts->driver + " " + card.facts->address;
  return text;
}

void add_speed(Gathering& all, const AskedDevice& asked, const DeviceRoom& room,
               const std::string& model_digest, ordered_json& into) {
  const SpeedCache cache(all.places.cache);
  const std::string key =
      std::string(kSoftware) + " | " + device_text(all, asked) + " | " + model_digest;
  const auto known = all.question.fresh ? std::nullopt : cache.find(key);
  if (known) {
    into["speed"] = speed_json(known->speed);
    into["measured_on"] = known->date;
    return;
  }
  const MeasuredSpeed measured = measure_speed(*all.model, room, asked.threads);
  into["speed"] = speed_json(measured.speed);
  if (!measured.left_out.empty()) into["left_out"] = measured.left_out;
  if (!measured.problem.empty())
    all.findings.push_back({Severity::problem, "", asked.device + ": " + measured.problem,
                            "see what potluck devices says of it, or leave it out of the cluster"});
  if (measured.left_out.empty() && measured.problem.empty()) cache.keep(key, measured.speed);
  if (measured.speed.sliding_layer_ms == 0 && !measured.left_out.empty())
    all.findings.push_back(
        {Severity::problem, "",
         asked.device + " cannot hold one layer of this model: " + measured.left_out,
         "free memory (close other programs), take a smaller file of the model, "
         "or leave this device out"});
}

ordered_json carried_json(const DeviceRoom& room, const ModelSource& source) {
  const Carried carried = carried_by(room, source);
  return {{"layers", carried.layers},
          {"beside_head", carried.layers_beside_head},
          {"of", source.spec().layer_count()}};
}

ordered_json carries_json(const Gathering& all, const DeviceRoom& room) {
  if (!all.question.model.empty()) return {{all.question.model, carried_json(room, *all.model)}};
  return {{"Q4_K_M", carried_json(room, *open_model(kReleasedQ4))},
          {"Q8_0", carried_json(room, *open_model(kReleasedQ8))}};
}

ordered_json device_json(Gathering& all, const AskedDevice& asked, const std::string& digest) {
  ordered_json json = {{"device", asked.device}};
  try {
    DeviceRoom room = rooms_of({asked.device}).front();
    if (asked.memory_bytes) room.bytes_free = std::min(room.bytes_free, asked.memory_bytes);
    json["bytes"] = room.bytes();
    if (!all.model) return json;
    json["carries"] = carries_json(all, room);
    add_speed(all, asked, room, digest, json);
  } catch (const Fault& fault) {
    json["problem"] = fault.what();
    all.findings.push_back({Severity::problem, "", fault.text(), fault.fix().text});
  }
  return json;
}

ordered_json devices_report(Gathering& all, const ordered_json& model) {
  const std::string digest = all.is_twin ? digest_text(spec_digest(*all.model)) + " made up"
                             : all.model
                                 ? std::string(model["spec"]) + std::string(model["contents"])
                                 : "";
  ordered_json json = ordered_json::array();
  for (const AskedDevice& each : devices_to_measure(all))
    json.push_back(device_json(all, each, digest));
  for (const Card& card : all.devices.cards)
    if (!card.problem.empty() && card.facts)
      all.findings.push_back(
          {Severity::warning, "",
           card.device + " (" + card.facts->name + ") cannot be used: " + card.problem, ""});
  return json;
}

std::string key_of(Gathering& all) {
  try {
    return KeyFile(all.places.config).read_or_make().public_key;
  } catch (const Fault& fault) {
    all.findings.push_back({Severity::problem, "", fault.text(), fault.fix().text});
    return "";
  }
}

}  // namespace

ordered_json question_json(const HostQuestion& question) {
  ordered_json devices = ordered_json::array();
  for (const AskedDevice& each : question.devices)
    devices.push_back(
        {{"device", each.device}, {"threads", each.threads}, {"memory", each.memory_bytes}});
  return {{"model", question.model},
          {"devices", devices},
          {"fresh", question.fresh},
          {"shapes", question.shapes}};
}

HostQuestion question_of(const ordered_json& json) {
  HostQuestion question;
  question.model = json.at("model");
  question.fresh = json.at("fresh");
  question.shapes = json.at("shapes");
  for (const ordered_json& each : json.at("devices"))
    question.devices.push_back({each.at("device"), each.at("threads"), each.at("memory")});
  return question;
}

ordered_json host_report(const HostQuestion& question, const HostPlaces& places) {
  Gathering all{question, places, find_devices(), nullptr, {}};
  const MachineState state = machine_state();
  for (const Finding& each : state_findings(state)) all.findings.push_back(each);
  take_model(all);
  ordered_json report = {{"software", kSoftware},        {"host", host_name()},
                         {"system", system_name()},      {"key", key_of(all)},
                         {"cpu", cpu_json(all.devices)}, {"memory", memory_json(all)}};
  report["model"] = model_json(all);
  report["disk"] =
      disk_json(question.model, places.models, all.model && !all.is_twin, all.findings);
  report["devices"] = devices_report(all, report["model"]);
  report["interfaces"] = interfaces_json();
  report["firewall"] = firewall_name(state.firewall);
  report["findings"] = ordered_json::array();
  for (const Finding& each : all.findings) report["findings"].push_back(finding_json(each));
  return report;
}

std::vector<Finding> findings_of(const ordered_json& report) {
  std::vector<Finding> findings;
  for (const ordered_json& each : report.at("findings")) findings.push_back(finding_of(each));
  return findings;
}

}  // namespace potluck
