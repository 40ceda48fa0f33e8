#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "cluster/commands.h"
#include "cluster/ring_plan.h"
#include "topology/cost_model.h"

namespace potluck {
namespace {

struct Flags {
  std::string model;
  RingOptions ring;
  bool json = false;
};

std::map<std::string, int> type_counts(const ModelSource& source) {
  std::map<std::string, int> counts;
  for (const TensorInfo& tensor : source.tensors()) ++counts[dtype_name(tensor.type)];
  return counts;
}

nlohmann::json describe(const ModelSource& source, const Plan& plan) {
  const ModelSpec& s = source.spec();
  nlohmann::json layers = nlohmann::json::array(), workers = nlohmann::json::array();
  const std::vector<uint64_t> bytes = layer_bytes(source);
  for (size_t i = 0; i < s.layers.size(); ++i)
    layers.push_back({{"kind", s.layers[i].full ? "full" : "sliding"},
                      {"kv_heads", s.layers[i].kv_heads},
                      {"head_dim", s.layers[i].head_dim},
                      {"bytes", bytes[i]}});
  const auto add = [&](const std::string& name, const MemoryNeed& need) {
    workers.push_back({{"name", name},
                       {"bytes", need.total()},
                       {"weights", need.weights},
                       {"kv", need.kv},
                       {"workspace", need.workspace}});
  };
  add("head", head_need(source, plan));
  for (int i = 0; i < plan.stage_count(); ++i)
    add(plan.stages[static_cast<size_t>(i)].name, stage_need(source, plan, i));
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
          {"layers", layers},
          {"workers", workers}};
}

void print_people(const ModelSource& source, const Plan& plan) {
  const ModelSpec& s = source.spec();
  std::printf("%s\n%s\n", s.name.c_str(), source.description().c_str());
  for (const std::string& note : source.notes()) std::printf("%s\n", note.c_str());
  std::printf(
      "hidden %d, heads %d, MLP %d, experts %d of %d (top %d), vocabulary %d, canvas %d, "
      "window %d\n",
      s.hidden, s.heads, s.intermediate, s.experts, s.expert_intermediate, s.experts_used, s.vocab,
      s.canvas, s.window);
  for (const auto& [type, count] : type_counts(source))
    std::printf("%4d tensors %s\n", count, type.c_str());
  const std::vector<uint64_t> bytes = layer_bytes(source);
  for (size_t i = 0; i < s.layers.size(); ++i)
    std::printf("layer %2zu: %-7s %2d KV heads of %3d, %s\n", i,
                s.layers[i].full ? "full" : "sliding", s.layers[i].kv_heads, s.layers[i].head_dim,
                bytes_text(bytes[i]).c_str());
  std::printf("with a context of %d:\n", plan.ctx_size);
  std::printf("%s\n", need_text(source, plan, kHeadPeer).c_str());
  for (int i = 0; i < plan.stage_count(); ++i)
    std::printf("%s\n", need_text(source, plan, stage_peer(i)).c_str());
}

int run(const Flags& flags, const ModelPlaces& places) {
  const auto source = open_model(flags.model, places);
  const Plan plan = make_plan(*source, flags.ring);
  if (flags.json)
    std::puts(describe(*source, plan).dump().c_str());
  else
    print_people(*source, plan);
  return 0;
}

}  // namespace

void add_inspect(CommandLine& line) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* sub = line.app.add_subcommand("inspect", "what a model file holds, and what it needs");
  sub->add_option("-m,--model", flags->model, "the model")->required();
  sub->add_option("--stages", flags->ring.stages, "as if split over so many stages")
      ->check(CLI::PositiveNumber);
  sub->add_option("-c,--ctx-size", flags->ring.ctx_size, "tokens a session may hold")
      ->check(CLI::PositiveNumber);
  sub->add_flag("--json", flags->json, "one JSON object on stdout");
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places] { return run(*flags, places); };
  });
}

}  // namespace potluck
