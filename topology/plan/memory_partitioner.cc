// Counts how many layers fit each device, one layer after another, by the needs of cost_model.h.
#include "topology/plan/memory_partitioner.h"

#include <utility>

#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

std::string need_text(const MemoryNeed& need) {
  return bytes_text(need.total()) + " (weights " + bytes_text(need.weights) + " + KV " +
         bytes_text(need.kv) + " + workspace " + bytes_text(need.workspace) + ")";
}

std::string room_text(const DeviceRoom& room) {
  const std::string left =
      room.headroom ? " less " + bytes_text(room.headroom) + " that is left alone" : "";
  return room.device + " has " + bytes_text(room.bytes_free) + " free" + left;
}

}  // namespace

MemoryPartitioner::MemoryPartitioner(std::vector<DeviceRoom> devices, Plan frame,
                                     std::optional<int> card_layers)
    : devices_(std::move(devices)), frame_(std::move(frame)), card_layers_(card_layers) {
  CHECK(!devices_.empty());
}

size_t MemoryPartitioner::cpu() const {
  const auto found = std::find_if(devices_.begin(), devices_.end(),
                                  [](const DeviceRoom& room) { return !room.is_card(); });
  return found - devices_.begin();
}

MemoryNeed MemoryPartitioner::head_on(const ModelSource& source, size_t device) const {
  Plan plan = frame_;
  plan.head.device = devices_[device].device;
  return head_need(source, plan);
}

MemoryNeed MemoryPartitioner::layers_on(const ModelSource& source, size_t device,
                                        LayerRange layers) const {
  if (layers.size() == 0) return {};
  Plan plan = frame_;
  plan.stages.assign(1, WorkerPlan{.device = devices_[device].device, .layers = layers});
  return stage_need(source, plan, 0);
}

size_t MemoryPartitioner::head_device(const ModelSource& source) const {
  std::string rooms;
  std::vector<size_t> order = {0};
  for (size_t i = 1; i < devices_.size(); ++i)
    if (devices_[i].is_card()) order.push_back(i);
  if (cpu() != 0 && cpu() < devices_.size()) order.push_back(cpu());
  for (const size_t i : order) {
    if (head_on(source, i).total() <= devices_[i].bytes()) return i;
    rooms += (rooms.empty() ? "" : ", ") + room_text(devices_[i]);
  }
  throw Fault(
      FaultKind::memory,
      "the head fits no device: it needs " + need_text(head_on(source, 0)) + ", and " + rooms,
      Fix{"name another device, or take a smaller file of the model"});
}

std::vector<int> MemoryPartitioner::layer_counts(const ModelSource& source) const {
  const size_t head = head_device(source);
  const auto fits = [&](size_t device, LayerRange layers) {
    const uint64_t taken = device == head ? head_on(source, device).total() : 0;
    return layers_on(source, device, layers).total() <= devices_[device].bytes() - taken;
  };
  const int layers = source.spec().layer_count();
  int wanted = std::min(card_layers_.value_or(layers), layers);
  LayerRange left{0, layers};
  std::vector<int> counts(devices_.size());
  for (size_t i = 0; i < cpu(); ++i)
    for (; wanted && left.size() && fits(i, {left.begin - counts[i], left.begin + 1}); --wanted)
      ++left.begin, ++counts[i];
  for (size_t i = devices_.size() - 1; i > cpu(); --i)
    for (; wanted && left.size() && fits(i, {left.end - 1, left.end + counts[i]}); --wanted)
      --left.end, ++counts[i];
  const std::string remain = range_text(left);
  if (card_layers_ && wanted)
    throw refusal(source, counts,
                  std::to_string(wanted) + " of " + std::to_string(*card_layers_) +
                      " layers that are to go to cards do not fit there",
                  Fix{"put fewer there", Setting::card_layers});
  if (left.size() == 0) return counts;
  if (cpu() == devices_.size())
    throw refusal(source, counts, "no device has room for layers " + remain,
                  Fix{"name cpu as well, which takes what is left"});
  counts[cpu()] = left.size();
  if (!fits(cpu(), left))
    throw refusal(source, counts, "the CPU has no room for layers " + remain,
                  Fix{"take a smaller file of the model, or a smaller context", Setting::context});
  return counts;
}

// The arithmetic of each device follows what is wrong.
Fault MemoryPartitioner::refusal(const ModelSource& source, const std::vector<int>& counts,
                                 const std::string& what, const Fix& fix) const {
  std::string text = what;
  int next = 0;
  for (size_t i = 0; i < devices_.size(); ++i) {
    const LayerRange layers{next, next + counts[i]};
    next = layers.end;
    text += (i ? "; " : ": ") + room_text(devices_[i]);
    if (i == head_device(source)) text += ", the head needs " + need_text(head_on(source, i));
    if (layers.size())
      text += ", layers " + range_text(layers) + " need " + need_text(layers_on(source, i, layers));
  }
  return Fault(FaultKind::memory, text, fix);
}

}  // namespace potluck
