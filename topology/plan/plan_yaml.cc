// Reads plans field by field with file and line, and writes them back.
#include "topology/plan/plan_yaml.h"

#include <yaml-cpp/emitter.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "topology/base/byte_size.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/mapped_file.h"
#include "topology/plan/dialing.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/plan_yaml_fields.h"
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
                                           "threads", "memory",   "hop", "transport", "role",
                                           "layers"};
constexpr char kNoHead[] = "no-head";

// int8 in blocks of 32, as people call ggml's q8_0.
std::string people_name(DType type) {
  return type == DType::q8_0 ? "int8" : dtype_name(type);
}

DType dtype_or(const YamlFields& fields, const std::string& key, DType fallback,
               std::initializer_list<DType> allowed) {
  const YamlNode* node = fields.find(key);
  if (!node) return fallback;
  const std::string& name = fields.word(key, *node);
  std::string choices;
  for (DType type : allowed) {
    if (name == people_name(type)) return type;
    add_to_list(choices, people_name(type));
  }
  fields.refuse("\"" + key + "\" is \"" + name + "\"", "it can be one of " + choices, node->line);
}

std::string read_endpoint(const YamlFields& fields, const WorkerPlan& worker) {
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
  if (endpoint->scheme == "tcp" && !is_any_address(*endpoint) && !is_machine(endpoint->host))
    fields.refuse("\"endpoint\" of \"" + worker.name + "\" is " + text +
                      ", whose host is no name and no address of a machine",
                  "write it like tcp://nas.lan:7000, tcp://10.0.0.4:7000 or tcp://[fd00::4]:7000",
                  node->line);
  if (is_any_address(*endpoint) && !worker.local)
    fields.refuse("\"endpoint\" of \"" + worker.name + "\" is " + text +
                      ", where a worker can listen but nobody can call it",
                  "give the address at which the others reach its machine: tcp://10.0.0.4:" +
                      std::to_string(endpoint->port),
                  node->line);
  return text;
}

LayerRange read_layers(const YamlFields& fields) {
  const YamlNode& node = fields.need("layers", "give its half-open range, like \"layers: 0:10\"");
  const std::string& text = fields.word("layers", node);
  const auto range = range_in(text, ':');
  if (!range)
    fields.refuse("\"layers\" is \"" + text + "\"", "it must be a half-open range like 0:10",
                  node.line);
  return {range->first, range->second};
}

WorkerPlan read_worker(const YamlFields& fields, const std::string& default_name, DType stream) {
  WorkerPlan worker;
  worker.name = fields.word_or("name", default_name);
  fields.check_name(worker.name, kNameBytesMax);
  if (const YamlNode* start = fields.find("start")) {
    worker.local = fields.word("start", *start) == "here";
    if (!worker.local)
      fields.refuse("\"start\" is \"" + start->scalar + "\"",
                    "it can only be here (leave it out for a worker that runs already)",
                    start->line);
  }
  worker.endpoint = read_endpoint(fields, worker);
  worker.key = fields.machine_key("key");
  if (worker.local && !worker.key.empty())
    fields.refuse("\"" + worker.name + "\" has \"start: here\" and a \"key\"",
                  "delete one: a worker of this machine has this machine's key",
                  fields.line_of("key"));
  worker.device = fields.word_or("device", worker.device);
  worker.threads = fields.integer_within("threads", worker.threads, 0, kThreadsMax);
  worker.memory_bytes = fields.bytes_or("memory", 0);
  worker.hop_type = dtype_or(fields, "hop", stream, {stream, DType::q8_0});
  if (const YamlNode* transport = fields.find("transport")) {
    worker.by_nccl = fields.word("transport", *transport) == "nccl";
    if (!worker.by_nccl)
      fields.refuse("\"transport\" is \"" + transport->scalar + "\"",
                    "it can only be nccl (leave it out for what carries all other messages)",
                    transport->line);
  }
  return worker;
}

bool read_role(const YamlFields& fields) {
  const YamlNode* role = fields.find("role");
  if (!role) return true;
  if (fields.word("role", *role) != kNoHead)
    fields.refuse("\"role\" is \"" + role->scalar + "\"",
                  "it can only be no-head (leave it out for a worker that may become the head when "
                  "that is lost)",
                  role->line);
  return false;
}

// A worker that the one before it in the ring dials must be within its reach.
void check_dial(const WorkerPlan& dialer, const WorkerPlan& worker, const YamlFields& fields) {
  const auto endpoint = parse_endpoint(worker.endpoint);
  if (!endpoint || !is_loopback(*endpoint) || is_here(dialer)) return;
  const YamlNode* node = fields.find("endpoint");
  fields.refuse("\"" + worker.name + "\" listens on " + worker.endpoint + ", which \"" +
                    dialer.name + "\" (" + dialer.endpoint + ") cannot dial from another machine",
                "give it endpoint: tcp://ADDRESS-OF-ITS-MACHINE:PORT",
                node ? node->line : fields.line());
}

struct PlanText {
  Plan plan;
  PlanPlaces places;
};

PlanText read_root(const YamlNode& root, const std::string& file) {
  const YamlFields fields(root, "the plan", file);
  fields.check_version(kVersion);
  fields.check_keys(kPlanKeys);
  Plan plan;
  PlanPlaces places{{"", file}};
  const auto place = [&](const std::string& part, int line) {
    places[part] = file + ":" + std::to_string(line);
  };
  for (const char* part : {"context", "chunk", "sessions", "slots", "stages"})
    place(part, fields.line_of(part));
  plan.stream = dtype_or(fields, "stream", plan.stream, {DType::bf16, DType::f32});
  plan.kv = dtype_or(fields, "kv", plan.kv, {DType::f16, DType::bf16, DType::f32});
  plan.precision = fields.precision_or("precision", plan.precision);
  plan.ctx_size = fields.integer_within("context", 0, 1, kContextMax);
  plan.sessions = fields.integer_within("sessions", plan.sessions, 1, kSessionsMax);
  plan.chunk = fields.integer_within("chunk", plan.chunk, 1, kContextMax);
  plan.slots = fields.integer_within("slots", plan.slots, 1, kSlotsMax);

  const YamlFields head(fields.need("head", "say which worker owns the head"), "the head", file);
  head.check_keys(kHeadKeys);
  place("head", head.line());
  plan.head = read_worker(head, "head", plan.stream);

  fields.need("stages", "list the workers that run the layers");
  const YamlNode& stages = *fields.find_list("stages", "begin each stage with \"- \"");
  for (const YamlNode& node : stages.items) {
    const std::string name = "stage " + std::to_string(plan.stage_count());
    const YamlFields stage(node, "stage " + std::to_string(plan.stage_count() + 1), file);
    stage.check_keys(kStageKeys);
    place(name, stage.line());
    plan.stages.push_back(read_worker(stage, name, plan.stream));
    plan.stages.back().layers = read_layers(stage);
    plan.stages.back().may_be_head = read_role(stage);
    const size_t count = plan.stages.size();
    check_dial(count == 1 ? plan.head : plan.stages[count - 2], plan.stages.back(), stage);
  }
  check_dial(plan.stages.back(), plan.head, head);
  return {plan, places};
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
  if (stage && !worker.may_be_head) field("role", kNoHead);
  // Other readers of YAML take 17:30 without quotes for a number of base 60.
  if (stage)
    out << YAML::Key << "layers" << YAML::Value << YAML::DoubleQuoted << range_text(worker.layers);
  out << YAML::EndMap;
}

}  // namespace

Plan parse_plan(const std::string& text, const std::string& file) {
  return read_root(parse_yaml(text, file), file).plan;
}

Plan read_plan(const std::string& path, const ModelSpec& spec) {
  auto [plan, places] = read_root(parse_yaml(read_text_or_pipe(path, kPlanBytesMax), path), path);
  if (plan.ctx_size == 0) plan.ctx_size = std::min(kContextDefault, spec.context_max);
  validate(plan, spec, places);
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
