// potluck inspect: prints what a model file holds and what each worker of a plan would need.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/json_line.h"
#include "cluster/ring/ring_flags.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"
#include "topology/model/locator.h"
#include "topology/model/tensor_table.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

struct InspectFlags {
  std::string model;
  RingFlags ring;
  bool tensors = false;
  bool json = false;
};

using TypeCounts = std::map<std::string, int>;

TypeCounts type_counts(const ModelSource& source) {
  TypeCounts counts;
  for (const TensorInfo& tensor : source.tensors()) ++counts[dtype_name(tensor.type)];
  return counts;
}

TypeCounts type_counts(const ModelSource& source, const std::vector<TensorNeed>& needs) {
  TypeCounts counts;
  for (const TensorNeed& need : needs)
    if (const TensorInfo* tensor = find_tensor(source, need.name))
      ++counts[dtype_name(tensor->type)];
  return counts;
}

std::string types_text(const TypeCounts& counts) {
  std::string text;
  for (const auto& [type, count] : counts)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + type;
  return text;
}

nlohmann::json describe_layers(const ModelSource& source) {
  nlohmann::json layers = nlohmann::json::array();
  const ModelSpec& s = source.spec();
  const std::vector<uint64_t> bytes = layer_bytes(source);
  for (int i = 0; i < s.layer_count(); ++i) {
    const LayerSpec& layer = s.layers[i];
    layers.push_back({{"kind", layer.full ? "full" : "sliding"},
                      {"kv_heads", layer.kv_heads},
                      {"head_dim", layer.head_dim},
                      {"tensor_types", type_counts(source, layer_tensors(s, i))},
                      {"bytes", bytes[i]}});
  }
  return layers;
}

nlohmann::json describe_workers(const ModelSource& source, const Plan& plan) {
  nlohmann::json workers = nlohmann::json::array();
  const auto add = [&](const WorkerPlan& worker, const MemoryNeed& need) {
    workers.push_back({{"name", worker.name},
                       {"device", worker.device},
                       {"layers", {worker.layers.begin, worker.layers.end}},
                       {"bytes", need.total()},
                       {"weights", need.weights},
                       {"kv", need.kv},
                       {"workspace", need.workspace}});
  };
  add(plan.head, head_need(source, plan));
  for (int i = 0; i < plan.stage_count(); ++i) add(plan.stages[i], stage_need(source, plan, i));
  return workers;
}

nlohmann::json describe_tensors(const ModelSource& source) {
  nlohmann::json tensors = nlohmann::json::array();
  for (const TensorInfo& tensor : source.tensors())
    tensors.push_back({{"name", tensor.name},
                       {"type", dtype_name(tensor.type)},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes}});
  return tensors;
}

nlohmann::json describe(const ModelSource& source, const Plan& plan) {
  const ModelSpec& s = source.spec();
  return {{"model", s.name},
          {"source", source.description()},
          {"notes", source.notes()},
          {"fingerprint", digest_text(spec_digest(source))},
          {"hidden", s.hidden},
          {"heads", s.heads},
          {"intermediate", s.intermediate},
          {"experts", s.experts},
          {"experts_used", s.experts_used},
          {"expert_intermediate", s.expert_intermediate},
          {"vocab", s.vocab},
          {"canvas", s.canvas},
          {"window", s.window},
          {"context_max", s.context_max},
          {"tensor_types", type_counts(source)},
          {"head_bytes", head_bytes(source)},
          {"layers", describe_layers(source)},
          {"context", plan.ctx_size},
          {"workers", describe_workers(source, plan)}};
}

void print_model(const ModelSource& source) {
  const ModelSpec& s = source.spec();
  std::printf("%s\n%s\n", one_line(s.name).c_str(), source.description().c_str());
  for (const std::string& note : source.notes()) std::printf("%s\n", one_line(note).c_str());
  std::printf(
      "hidden %d, heads %d, MLP %d, %d experts of %d (top %d), vocabulary %d, canvas of %d "
      "tokens, window of %d, context of up to %d\n",
      s.hidden, s.heads, s.intermediate, s.experts, s.expert_intermediate, s.experts_used, s.vocab,
      s.canvas, s.window, s.context_max);
  std::printf("tensors: %s\n", types_text(type_counts(source)).c_str());
  std::printf("head: %s (%s)\n", bytes_text(head_bytes(source)).c_str(),
              types_text(type_counts(source, head_tensors(s))).c_str());
  const std::vector<uint64_t> bytes = layer_bytes(source);
  for (int i = 0; i < s.layer_count(); ++i) {
    const LayerSpec& layer = s.layers[i];
    std::printf("layer %d: %s, %s of %d, %s (%s)\n", i, layer.full ? "full" : "sliding",
                count_text(layer.kv_heads, "KV head").c_str(), layer.head_dim,
                bytes_text(bytes[i]).c_str(),
                types_text(type_counts(source, layer_tensors(s, i))).c_str());
  }
}

void print_needs(const ModelSource& source, const Plan& plan) {
  std::printf("memory needed with a context of %d tokens:\n", plan.ctx_size);
  const auto print = [&](PeerId worker) {
    const std::string& device = plan.worker(worker).device;
    std::printf("%s%s\n", need_text(source, plan, worker).c_str(),
                device == "cpu" ? "" : (" on " + device).c_str());
  };
  print(kHeadPeer);
  for (int i = 0; i < plan.stage_count(); ++i) print(stage_peer(i));
}

void print_tensors(const ModelSource& source) {
  for (const TensorInfo& tensor : source.tensors())
    std::printf("%s: %s %s, %s\n", one_line(tensor.name).c_str(), dtype_name(tensor.type),
                tensor.shape_text().c_str(), bytes_text(tensor.bytes).c_str());
}

int run_inspect(const InspectFlags& flags, const ModelPlaces& places) {
  check_ring_flags(flags.ring);
  const auto source = open_model(flags.model, places);
  const Plan plan = plan_of(*source, flags.ring, [](const std::string& line) {
    std::fprintf(stderr, "%s\n", one_line(line).c_str());
  });
  if (flags.json) {
    nlohmann::json all = describe(*source, plan);
    if (flags.tensors) all["tensors"] = describe_tensors(*source);
    std::puts(json_line(all).c_str());
    return 0;
  }
  print_model(*source);
  print_needs(*source, plan);
  if (flags.tensors) print_tensors(*source);
  return 0;
}

}  // namespace

void add_inspect(CommandLine& line) {
  const auto flags = std::make_shared<InspectFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "inspect", "say what a model file holds, and what each worker would need");
  model_name(sub->add_option("-m,--model", flags->model, "the model (see run --help)")->required());
  add_plan_flags(sub, flags->ring);
  sub->add_flag("--tensors", flags->tensors, "list each tensor with its type, shape and bytes");
  sub->add_flag("--json", flags->json, "print one JSON object");
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places] { return run_inspect(*flags, places); };
  });
}

}  // namespace potluck
