// Keeps the sessions' slots and lengths; the backend holds K and V themselves.
#include "shard/kv_cache.h"

#include <algorithm>
#include <string>

#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/plan/cost_model.h"

namespace potluck {

KvCache::KvCache(const ModelSpec& spec, const Plan& plan, LayerRange layers, Backend& backend)
    : spec_(spec),
      plan_(plan),
      backend_(backend),
      layers_(layers),
      ctx_size_(plan.ctx_size),
      used_(plan.sessions, false) {
  for (int i = layers.begin; i < layers.end; ++i) {
    const LayerSpec& layer = spec.layers[i];
    KvLayer kv;
    kv.type = plan.kv;
    kv.capacity = kv_positions(spec, layer, plan);
    slot_bytes_.push_back(row_bytes(plan.kv, kv.capacity * layer.kv_width()));
    kv.k = backend.allocate(slot_bytes_.back() * used_.size());
    kv.v = backend.allocate(slot_bytes_.back() * used_.size());
    kv_.push_back(kv);
  }
}

void KvCache::open(uint64_t session) {
  if (has(session))
    throw Fault(FaultKind::refused, "session " + std::to_string(session) + " is open already");
  const auto free = std::find(used_.begin(), used_.end(), false);
  if (free == used_.end())
    throw Fault(FaultKind::memory,
                "all " + std::to_string(used_.size()) + " sessions of the plan are open",
                Fix{"close one, or plan for more"});
  *free = true;
  entries_[session].slot = free - used_.begin();
}

void KvCache::fork(uint64_t from, uint64_t session) {
  if (!has(from))
    throw Fault(FaultKind::refused, "session " + std::to_string(from) + " to fork is not open");
  open(session);
  const Entry& source = entry(from);
  Entry& copy = entries_[session];
  copy.length = source.length;
  copy.most = source.most;
  for (size_t i = 0; i < kv_.size(); ++i) {
    const size_t bytes = slot_bytes_[i];
    backend_.copy(kv_[i].k, source.slot * bytes, kv_[i].k, copy.slot * bytes, bytes);
    backend_.copy(kv_[i].v, source.slot * bytes, kv_[i].v, copy.slot * bytes, bytes);
  }
}

void KvCache::close(uint64_t session) {
  const auto found = entries_.find(session);
  if (found == entries_.end()) return;
  used_[found->second.slot] = false;
  entries_.erase(found);
}

void KvCache::close_all() {
  while (!entries_.empty()) close(entries_.begin()->first);
}

void KvCache::advance(uint64_t session, int rows) {
  CHECK(has(session), session);
  Entry& e = entries_[session];
  e.length += rows;
  e.most = std::max(e.most, e.length);
  CHECK(e.length <= ctx_size_, e.length, ctx_size_);
}

void KvCache::truncate(uint64_t session, int length) {
  if (!has(session))
    throw Fault(FaultKind::refused,
                "session " + std::to_string(session) + " to cut back is not open");
  Entry& e = entries_[session];
  if (length < least_kept(spec_, plan_, e.most) || length > e.length)
    throw Fault(FaultKind::refused, "session " + std::to_string(session) + " of " +
                                        std::to_string(e.length) + " tokens cannot go back to " +
                                        std::to_string(length));
  e.length = length;
}

const KvLayer& KvCache::layer(int index) const {
  CHECK(layers_.contains(index), index, layers_.begin, layers_.end);
  return kv_[index - layers_.begin];
}

uint64_t KvCache::bytes() const {
  uint64_t total = 0;
  for (const KvLayer& kv : kv_) total += kv.k.bytes + kv.v.bytes;
  return total;
}

const KvCache::Entry& KvCache::entry(uint64_t session) const {
  const auto found = entries_.find(session);
  CHECK(found != entries_.end(), session);
  return found->second;
}

}  // namespace potluck
