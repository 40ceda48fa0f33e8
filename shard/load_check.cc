// The checks of a Load, cheapest first; contents are a call of their own, for they are read whole.
#include "shard/load_check.h"

#include <algorithm>
#include <functional>
#include <string>

#include "topology/plan/cost_model.h"
#include "topology/plan/plan_check.h"
#include "transport/nccl/nccl_library.h"

namespace potluck {
namespace {

void check_part(const Load& order) {
  if (!order.plan.has_worker(order.you))
    throw Fault(FaultKind::refused, "a plan of " + std::to_string(order.plan.stage_count()) +
                                        " stages has no worker " + std::to_string(order.you));
}

void check_device(const WorkerPlan& me, const Machine& machine) {
  if (me.device != machine.device)
    throw Fault(FaultKind::refused,
                "the plan wants the device " + me.device + " here; this is " + machine.device,
                Fix{"start the worker on that device", Setting::device});
}

// As Worker::new_backend() chooses them.
Plan with_threads_of(const Machine& machine, Plan plan, PeerId you) {
  WorkerPlan& me = plan.worker(you);
  if (machine.threads)
    me.threads = machine.threads;
  else if (!me.threads)
    me.threads = machine.info.units;
  return plan;
}

// Whoever sends or receives by NCCL has it.
void check_link(const Load& order) {
  const WorkerPlan& me = order.plan.worker(order.you);
  if (me.by_nccl || order.plan.previous_of(order.you).by_nccl) open_nccl(card_vendor(me.device));
}

void check_model(const Load& order, const ModelSource& source) {
  const Digest ours = spec_digest(source), theirs = order.model.spec;
  if (theirs == ours) return;
  throw Fault(FaultKind::refused,
              "my model (" + source.description() + ", fingerprint " + digest_text(ours) +
                  ") is not that of the coordinator (fingerprint " + digest_text(theirs) + ")",
              Fix{"start this worker with the same model file", Setting::model});
}

// theirs: 0 if the coordinator has not read its copy.
void check_same(Digest theirs, const std::function<Digest()>& read_ours, const std::string& what) {
  const Digest ours = theirs ? read_ours() : 0;
  if (theirs == ours) return;
  throw Fault(FaultKind::refused,
              what + " differs from the coordinator's copy (" + digest_text(ours) + " here, " +
                  digest_text(theirs) + " there)",
              Fix{"use the same file on every machine"});
}

}  // namespace

void check_memory(const Load& order, const ModelSource& source, const Machine& machine) {
  const Plan plan = with_threads_of(machine, order.plan, order.you);
  const WorkerPlan& me = plan.worker(order.you);
  const MemoryNeed need = order.you == kHeadPeer
                              ? head_need(source, plan)
                              : stage_need(source, plan, order.you - stage_peer(0));
  uint64_t limit = machine.info.bytes_free;
  if (machine.memory_bytes) limit = std::min(limit, machine.memory_bytes);
  if (me.memory_bytes) limit = std::min(limit, me.memory_bytes);
  if (need.total() > limit) throw memory_refusal(me, need, limit);
}

void check_load(const Load& order, const ModelSource& source, const Machine& machine) {
  check_model(order, source);
  validate(order.plan, source.spec());
  check_part(order);
  check_device(order.plan.worker(order.you), machine);
  check_link(order);
  check_memory(order, source, machine);
}

void check_contents(const Load& order, const ModelSource& source) {
  if (order.you == kHeadPeer)
    return check_same(
        order.model.head, [&] { return head_digest(source); }, "the head's tensors");
  const LayerRange layers = order.plan.worker(order.you).layers;
  for (int i = layers.begin; i < layers.end; ++i) {
    const size_t index = i;
    const Digest theirs = index < order.model.layers.size() ? order.model.layers[index] : 0;
    check_same(
        theirs, [&] { return layer_digest(source, i); }, "layer " + std::to_string(i));
  }
}

}  // namespace potluck
