// Reads plans field by field with file and line, and writes them back.
#include "topology/plan/plan_yaml.h"

#include <yaml-cpp/emitter.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "topology/base/byte_size.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"
#include "topology/base/suggest.h"
#include "topology/base/text.h"
#include "topology/model/mapped_file.h"
#include "topology/plan/dialing.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/plan_yaml_tree.h"

namespace potluck {
namespace {

constexpr uint64_t kPlanBytesMax = 256 << 10;  // 1 KB for each of kMaxStages workers
constexpr size_t kNameBytesMax = 64;
constexpr char kVersion[] = "1";
constexpr std::string_view kPlanKeys[] = {"version",  "stream", "kv",    "precision", "context",
                                          "sessions", "chunk",  "slots", "head",      "stages"};
constexpr std::string_view kHeadKeys[] = {"name",    "endpoint", "key", "start",    "device",
                                          "threads", "memory",   "hop", "transport"};
constexpr std::string_view kStageKeys[] = {"name",    "endpoint", "key", "start",     "device",
                                           "threads", "memory",   "hop", "transport", "layers"};

// int8 in blocks of 32, as people call ggml's q8_0.
std::string people_name(DType type) {
  return type == DType::q8_0 ? "int8" : dtype_name(type);
}

// The fields of one map, each read by its type; every refusal names file and line.
class Fields {
 public:
  // what names the map in messages: "the plan", "the head", "stage 2".
  Fields(const YamlNode& map, std::string what, const std::string& file)
      : map_(map), what_(std::move(what)), file_(file) {
    if (map.kind != YamlNode::Kind::map)
      refuse(what_ + " has no keys", "write keys with values, like \"name: old-laptop\"", map.line);
  }

  [[noreturn]] void refuse(const std::string& why, const std::string& fix, int line) const {
    throw Fault(FaultKind::input, why, Fix{fix}, file_ + ":" + std::to_string(line));
  }

  void check_keys(std::span<const std::string_view> known) const {
    for (size_t i = 0; i < map_.keys.size(); ++i) {
      const auto& [name, line] = map_.keys[i];
      bool found = false;
      for (std::string_view key : known) found = found || key == name;
      if (!found) refuse("unknown key \"" + name + "\"", suggestion(name, known), line);
      for (size_t j = 0; j < i; ++j)
        if (map_.keys[j].name == name)
          refuse(
              "\"" + name + "\" appears twice, first in line " + std::to_string(map_.keys[j].line),
              "delete one", line);
    }
  }

  const YamlNode* find(std::string_view key) const {
    for (size_t i = 0; i < map_.keys.size(); ++i)
      if (map_.keys[i].name == key) return &map_.items[i];
    return nullptr;
  }
  const YamlNode& need(const std::string& key, const std::string& fix) const {
    const YamlNode* node = find(key);
    if (!node) refuse(what_ + " has no \"" + key + "\"", fix, map_.line);
    return *node;
  }

  const std::string& word(const std::string& key, const YamlNode& node) const {
    if (node.kind != YamlNode::Kind::scalar || node.scalar.empty())
      refuse("\"" + key + "\" is " +
                 (node.kind == YamlNode::Kind::scalar ? "empty"
                  : node.kind == YamlNode::Kind::map  ? "a map"
                                                      : "a list"),
             "it must be one word", node.line);
    return node.scalar;
  }
  std::string word_or(const std::string& key, const std::string& fallback) const {
    const YamlNode* node = find(key);
    return node ? word(key, *node) : fallback;
  }
  int integer(const std::string& text, const std::string& key, int line) const {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      refuse("\"" + key + "\" is \"" + text + "\"", "it must be a whole number", line);
    return value;
  }
  int integer_or(const std::string& key, int fallback) const {
    const YamlNode* node = find(key);
    return node ? integer(word(key, *node), key, node->line) : fallback;
  }
  DType dtype_or(const std::string& key, DType fallback,
                 std::initializer_list<DType> allowed) const {
    const YamlNode* node = find(key);
    if (!node) return fallback;
    const std::string& name = word(key, *node);
    std::string choices;
    for (DType type : allowed) {
      if (name == people_name(type)) return type;
      add_to_list(choices, people_name(type));
    }
    refuse("\"" + key + "\" is \"" + name + "\"", "it can be one of " + choices, node->line);
  }

  Precision precision_or(const std::string& key, Precision fallback) const {
    const YamlNode* node = find(key);
    if (!node) return fallback;
    const std::string& name = word(key, *node);
    if (name == "exact") return Precision::exact;
    if (name == "fast") return Precision::fast;
    refuse("\"" + key + "\" is \"" + name + "\"", "it can be exact or fast", node->line);
  }

  int line() const { return map_.line; }

 private:
  const YamlNode& map_;
  std::string what_;
  const std::string& file_;
};

uint64_t read_memory(const Fields& fields) {
  const YamlNode* node = fields.find("memory");
  if (!node) return 0;
  try {
    return parse_bytes(fields.word("memory", *node));
  } catch (const Fault& fault) {
    fields.refuse("\"memory\": " + fault.text(), fault.fix().text, node->line);
  }
}

std::string read_endpoint(const Fields& fields, const WorkerPlan& worker) {
  const YamlNode* node = fields.find("endpoint");
  if (!node && worker.local) return "";
  if (!node)
    fields.refuse("\"" + worker.name + "\" has no \"endpoint\"",
                  "give where it listens (tcp://10.0.0.4:7000), or "
                  "\"start: here\" to start it on this machine",
                  fields.line());
  const std::string& text = fields.word("endpoint", *node);
  const std::optional<Endpoint> endpoint = parse_endpoint(text);
  if (!endpoint)
    fields.refuse("\"endpoint\" is \"" + text + "\"", "it must be tcp://HOST:PORT or ipc:///PATH",
                  node->line);
  if (is_any_address(*endpoint) && !worker.local)
    fields.refuse("\"endpoint\" of \"" + worker.name + "\" is " + text +
                      ", where a worker can listen but nobody can call it",
                  "give the address at which the others reach its machine: tcp://10.0.0.4:" +
                      std::to_string(endpoint->port),
                  node->line);
  return text;
}

std::string read_key(const Fields& fields) {
  const YamlNode* node = fields.find("key");
  if (!node) return "";
  const std::string& text = fields.word("key", *node);
  if (!is_key(text))
    fields.refuse("\"key\" is \"" + text + "\"",
                  "it must be the " + std::to_string(kKeyDigits) +
                      " digits that \"potluck key\" shows on the worker's machine",
                  node->line);
  return text;
}

LayerRange read_layers(const Fields& fields) {
  const YamlNode& node = fields.need("layers", "give its half-open range, like \"layers: 0:10\"");
  const std::string& text = fields.word("layers", node);
  const size_t colon = text.find(':');
  if (colon == std::string::npos)
    fields.refuse("\"layers\" is \"" + text + "\"", "it must be a half-open range like 0:10",
                  node.line);
  return {fields.integer(text.substr(0, colon), "layers", node.line),
          fields.integer(text.substr(colon + 1), "layers", node.line)};
}

WorkerPlan read_worker(const Fields& fields, const std::string& default_name, DType stream) {
  WorkerPlan worker;
  worker.name = fields.word_or("name", default_name);
  if (worker.name.size() > kNameBytesMax)
    fields.refuse("a \"name\" of " + std::to_string(worker.name.size()) + " bytes",
                  "give at most " + std::to_string(kNameBytesMax), fields.find("name")->line);
  if (const YamlNode* start = fields.find("start")) {
    worker.local = fields.word("start", *start) == "here";
    if (!worker.local)
      fields.refuse("\"start\" is \"" + start->scalar + "\"",
                    "it can only be here (leave it out for a worker that runs already)",
                    start->line);
  }
  worker.endpoint = read_endpoint(fields, worker);
  worker.key = read_key(fields);
  worker.device = fields.word_or("device", worker.device);
  worker.threads = fields.integer_or("threads", worker.threads);
  worker.memory_bytes = read_memory(fields);
  worker.hop_type = fields.dtype_or("hop", stream, {stream, DType::q8_0});
  if (const YamlNode* transport = fields.find("transport")) {
    worker.by_nccl = fields.word("transport", *transport) == "nccl";
    if (!worker.by_nccl)
      fields.refuse("\"transport\" is \"" + transport->scalar + "\"",
                    "it can only be nccl (leave it out for what carries all other messages)",
                    transport->line);
  }
  return worker;
}

// A worker that the one before it in the ring dials must be within its reach.
void check_dial(const WorkerPlan& dialer, const WorkerPlan& worker, const Fields& fields) {
  const auto endpoint = parse_endpoint(worker.endpoint);
  if (!endpoint || !is_loopback(*endpoint) || is_here(dialer)) return;
  const YamlNode* node = fields.find("endpoint");
  fields.refuse("\"" + worker.name + "\" listens on " + worker.endpoint + ", which \"" +
                    dialer.name + "\" (" + dialer.endpoint + ") cannot dial from another machine",
                "give it endpoint: tcp://ADDRESS-OF-ITS-MACHINE:PORT",
                node ? node->line : fields.line());
}

Plan read_root(const YamlNode& root, const std::string& file) {
  const Fields fields(root, "the plan", file);
  const YamlNode& version = fields.need("version", "begin the file with \"version: 1\"");
  if (fields.word("version", version) != kVersion)
    fields.refuse("\"version\" is \"" + version.scalar + "\"", "this potluck reads version 1",
                  version.line);
  fields.check_keys(kPlanKeys);
  Plan plan;
  plan.stream = fields.dtype_or("stream", plan.stream, {DType::bf16, DType::f32});
  plan.kv = fields.dtype_or("kv", plan.kv, {DType::f16, DType::bf16, DType::f32});
  plan.precision = fields.precision_or("precision", plan.precision);
  plan.ctx_size = fields.integer_or("context", 0);
  plan.sessions = fields.integer_or("sessions", plan.sessions);
  plan.chunk = fields.integer_or("chunk", plan.chunk);
  plan.slots = fields.integer_or("slots", plan.slots);

  const Fields head(fields.need("head", "say which worker owns the head"), "the head", file);
  head.check_keys(kHeadKeys);
  plan.head = read_worker(head, "head", plan.stream);

  const YamlNode& stages = fields.need("stages", "list the workers that run the layers");
  if (stages.kind != YamlNode::Kind::sequence || stages.items.empty())
    fields.refuse("\"stages\" is not a list", "begin each stage with \"- \"", stages.line);
  for (const YamlNode& node : stages.items) {
    const std::string name = "stage " + std::to_string(plan.stage_count());
    const Fields stage(node, name, file);
    stage.check_keys(kStageKeys);
    plan.stages.push_back(read_worker(stage, name, plan.stream));
    plan.stages.back().layers = read_layers(stage);
    const size_t count = plan.stages.size();
    check_dial(count == 1 ? plan.head : plan.stages[count - 2], plan.stages.back(), stage);
  }
  check_dial(plan.stages.back(), plan.head, head);
  return plan;
}

void emit_worker(YAML::Emitter& out, const WorkerPlan& worker, DType stream, bool stage) {
  const auto field = [&out](const char* key, const auto& value) {
    out << YAML::Key << key << YAML::Value << value;
  };
  out << YAML::BeginMap;
  field("name", worker.name);
  if (worker.local) field("start", "here");
  if (!worker.endpoint.empty()) field("endpoint", worker.endpoint);
  if (!worker.key.empty()) field("key", worker.key);
  field("device", worker.device);
  if (worker.threads) field("threads", worker.threads);
  if (worker.memory_bytes) field("memory", exact_bytes_text(worker.memory_bytes));
  if (worker.hop_type != stream) field("hop", people_name(worker.hop_type));
  if (worker.by_nccl) field("transport", "nccl");
  if (stage)
    field("layers", std::to_string(worker.layers.begin) + ":" + std::to_string(worker.layers.end));
  out << YAML::EndMap;
}

}  // namespace

Plan parse_plan(const std::string& text, const std::string& file) {
  return read_root(parse_yaml(text, file), file);
}

Plan read_plan(const std::string& path, const ModelSpec& spec) {
  Plan plan = parse_plan(read_text_or_pipe(path, kPlanBytesMax), path);
  if (plan.ctx_size == 0) plan.ctx_size = std::min(kContextDefault, spec.context_max);
  try {
    validate(plan, spec);
  } catch (const Fault& fault) {
    throw fault.at(path);
  }
  return plan;
}

std::string plan_yaml(const Plan& plan) {
  YAML::Emitter out;
  const auto field = [&out](const char* key, const auto& value) {
    out << YAML::Key << key << YAML::Value << value;
  };
  out << YAML::BeginMap;
  field("version", kVersion);
  field("stream", dtype_name(plan.stream));
  field("kv", dtype_name(plan.kv));
  field("precision", plan.precision == Precision::fast ? "fast" : "exact");
  if (plan.ctx_size) field("context", plan.ctx_size);
  field("sessions", plan.sessions);
  field("chunk", plan.chunk);
  field("slots", plan.slots);
  out << YAML::Key << "head" << YAML::Value;
  emit_worker(out, plan.head, plan.stream, false);
  out << YAML::Key << "stages" << YAML::Value << YAML::BeginSeq;
  for (const WorkerPlan& stage : plan.stages) emit_worker(out, stage, plan.stream, true);
  out << YAML::EndSeq << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace potluck
