// Holds a plan to the model and to potluck's limits.
#include "topology/plan/plan_check.h"

#include <algorithm>
#include <map>

#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"

namespace potluck {
namespace {

// Runs a check of that part of the plan.
template <typename Check>
void check_part(const PlanPlaces& places, const std::string& part, Check check) {
  try {
    check();
  } catch (const Fault& fault) {
    if (places.empty()) throw;
    const auto place = places.find(part);
    throw fault.at(place == places.end() ? places.at("") : place->second);
  }
}

std::string part_of(PeerId peer) {
  return peer == kHeadPeer ? "head" : "stage " + std::to_string(peer - stage_peer(0));
}

// `next` is the first layer that no stage before has.
void check_stage_layers(const WorkerPlan& stage, int next, int layers) {
  const LayerRange r = stage.layers;
  const std::string who = "stage \"" + stage.name + "\" has layers " + range_text(r);
  if (r.end <= r.begin)
    throw Fault(FaultKind::input, who + ", which is no range",
                Fix{"a range goes up, from its first layer to the one after its last: 0:10"});
  if (r.begin < 0 || r.begin >= layers)
    throw Fault(FaultKind::input, who + ", and the model has layers " + range_text({0, layers}),
                Fix{"leave the stage out, or give it layers of those"});
  if (r.end > layers)
    throw Fault(FaultKind::input, who + ", and the model has layers " + range_text({0, layers}),
                Fix{"let it end at " + std::to_string(layers)});
  if (r.begin > next)
    throw Fault(FaultKind::input, who + ", so nobody runs " + range_text({next, r.begin}),
                Fix{"let it begin at " + std::to_string(next)});
  if (r.begin < next)
    throw Fault(FaultKind::input,
                who + ", but layers before " + std::to_string(next) + " belong to an earlier stage",
                Fix{"let it begin at " + std::to_string(next)});
}

void check_layers(const Plan& plan, int layers, const PlanPlaces& places) {
  if (plan.head.layers != LayerRange{})
    throw Fault(FaultKind::input, "the head has layers " + range_text(plan.head.layers),
                Fix{"layers belong to stages"});
  int next = 0;
  for (int stage = 0; stage < plan.stage_count(); ++stage) {
    check_part(places, part_of(stage_peer(stage)),
               [&] { check_stage_layers(plan.stages[stage], next, layers); });
    next = plan.stages[stage].layers.end;
  }
  check_part(places, "stages", [&] {
    if (next != layers)
      throw Fault(FaultKind::input, "nobody runs layers " + range_text({next, layers}),
                  Fix{"add a stage, or let \"" + plan.stages.back().name + "\" end at " +
                      std::to_string(layers)});
  });
}

// "6" for a part that is written in line 6; "" for one without a place.
std::string line_of(const PlanPlaces& places, PeerId peer) {
  const auto place = places.find(part_of(peer));
  return place == places.end() ? "" : place->second.substr(place->second.rfind(':') + 1);
}

// Names and endpoints are a worker's own.
void check_own(const Plan& plan, PeerId peer, std::map<std::string, PeerId>& names,
               std::map<std::string, PeerId>& endpoints, const PlanPlaces& places) {
  const WorkerPlan& worker = plan.worker(peer);
  if (worker.name.empty())
    throw Fault(FaultKind::input, "a worker has an empty name", Fix{"give each worker a name"});
  const auto [first, is_new] = names.insert({worker.name, peer});
  const std::string line = line_of(places, first->second);
  if (!is_new)
    throw Fault(FaultKind::input,
                "the worker name \"" + worker.name + "\" appears twice" +
                    (line.empty() ? "" : ", first in line " + line),
                Fix{"give each worker a name of its own"});
  if (worker.endpoint.empty()) return;
  const auto [other, is_free] = endpoints.insert({worker.endpoint, peer});
  const std::string other_line = line_of(places, other->second);
  if (!is_free)
    throw Fault(FaultKind::input,
                "worker \"" + worker.name + "\" has endpoint " + worker.endpoint + ", which \"" +
                    plan.worker(other->second).name + "\"" +
                    (other_line.empty() ? "" : " (line " + other_line + ")") + " has too",
                Fix{"give each worker an endpoint of its own"});
}

void check_worker(const WorkerPlan& worker, DType stream) {
  if (worker.hop_type != stream && worker.hop_type != DType::q8_0)
    throw Fault(FaultKind::input,
                "worker \"" + worker.name + "\" has hop " + dtype_name(worker.hop_type),
                Fix{std::string("it can be the stream's ") + dtype_name(stream) + ", or int8"});
  if (!is_device(worker.device))
    throw Fault(FaultKind::input,
                "worker \"" + worker.name + "\" has device \"" + worker.device + "\"",
                Fix{"it can be cpu, cuda:N or hip:N"});
  if (!worker.key.empty() && !is_key(worker.key))
    throw Fault(FaultKind::input, "worker \"" + worker.name + "\" has key \"" + worker.key + "\"",
                Fix{"a key has " + std::to_string(kKeyDigits) + " digits from 0 to 9 and a to f"});
  check_within("the threads of worker \"" + worker.name + "\"", worker.threads, 0, kThreadsMax);
}

// Cards with a number are the same where the machine is.
bool is_one_card(const WorkerPlan& a, const WorkerPlan& b) {
  const auto host = [](const WorkerPlan& worker) {
    const auto endpoint = parse_endpoint(worker.endpoint);
    return worker.local || !endpoint || is_loopback(*endpoint) ? "" : endpoint->host;
  };
  return a.device == b.device && a.device.rfind(card_vendor(a.device), 0) == 0 &&
         host(a) == host(b);
}

void check_link(const WorkerPlan& from, const WorkerPlan& to) {
  if (!from.by_nccl) return;
  const std::string what = "worker \"" + from.name + "\" has transport nccl, from " + from.device +
                           " to " + to.device + " of \"" + to.name + "\"";
  const std::string vendor = card_vendor(from.device);
  if (vendor.empty() || vendor != card_vendor(to.device))
    throw Fault(FaultKind::input, what,
                Fix{"NCCL links cards of one vendor; leave its transport out"});
  if (is_one_card(from, to))
    throw Fault(FaultKind::input, what + ", which is the same card",
                Fix{"NCCL links two cards; leave its transport out"});
}

void check_types(const Plan& plan) {
  if (plan.stream != DType::bf16 && plan.stream != DType::f32)
    throw Fault(FaultKind::input, std::string("stream is ") + dtype_name(plan.stream),
                Fix{"it can be bf16 or f32"});
  if (plan.kv != DType::f16 && plan.kv != DType::bf16 && plan.kv != DType::f32)
    throw Fault(FaultKind::input, std::string("kv is ") + dtype_name(plan.kv),
                Fix{"it can be f16, bf16 or f32"});
}

}  // namespace

void validate(const Plan& plan, const ModelSpec& spec, const PlanPlaces& places) {
  const auto within = [&places](const char* part, int64_t value, int64_t least, int64_t most) {
    check_part(places, part, [&] { check_within(part, value, least, most); });
  };
  check_part(places, "stages",
             [&] { check_within("the number of stages", plan.stage_count(), 1, kMaxStages); });
  within("context", plan.ctx_size, 1, std::min(kContextMax, spec.context_max));
  within("chunk", plan.chunk, 1, std::max(plan.ctx_size, kChunkDefault));
  within("sessions", plan.sessions, 1, kSessionsMax);
  within("slots", plan.slots, 1, kSlotsMax);
  check_types(plan);
  std::map<std::string, PeerId> names, endpoints;
  for (PeerId peer = kHeadPeer; peer < stage_peer(plan.stage_count()); ++peer)
    check_part(places, part_of(peer), [&] {
      check_own(plan, peer, names, endpoints, places);
      check_worker(plan.worker(peer), plan.stream);
    });
  for (PeerId peer = kHeadPeer; peer < stage_peer(plan.stage_count()); ++peer)
    check_part(places, part_of(peer), [&] { check_link(plan.worker(peer), plan.next_of(peer)); });
  check_layers(plan, spec.layer_count(), places);
}

bool is_device(const std::string& device) {
  const size_t colon = device.find(':');
  const std::string kind = device.substr(0, colon);
  if (colon == std::string::npos) return kind == "cpu";
  const std::string index = device.substr(colon + 1);
  if (kind == "emulated")
    return index == "cuda" || index == "hip" || index == "rdna" || index == "pascal";
  const bool number = !index.empty() && index.size() <= 3 &&
                      index.find_first_not_of("0123456789") == std::string::npos &&
                      (index == "0" || index.front() != '0');
  return number && (kind == "cuda" || kind == "hip");
}

}  // namespace potluck
