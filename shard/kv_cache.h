// KvCache holds K and V of a stage's layers for many sessions, reserved when the plan loads. Full
// layers keep every position; sliding ones keep a ring of W − 1 + max(chunk, canvas): as many as a
// canvas may see, and as many as one pass may write.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "backends/backend.h"
#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"

namespace potluck {

class KvCache final {
 public:
  KvCache(const ModelSpec& spec, const Plan& plan, LayerRange layers, Backend& backend);

  // Throws Fault{memory} when plan.sessions are open already, Fault{refused} for a known session.
  void open(uint64_t session);
  // Opens a session with a copy of another's tokens. Throws as open(), and Fault{refused} if `from`
  // is unknown.
  void fork(uint64_t from, uint64_t session);
  void close(uint64_t session);  // does nothing if it is unknown
  void close_all();
  bool has(uint64_t session) const { return entries_.count(session) != 0; }
  int slot(uint64_t session) const { return entry(session).slot; }
  int length(uint64_t session) const { return entry(session).length; }
  int capacity() const { return ctx_size_; }
  void advance(uint64_t session, int rows);
  // Keeps the first `length` tokens of an open session. Throws Fault{refused} if it has fewer, or
  // no longer holds what they need (least_kept()).
  void truncate(uint64_t session, int length);

  const KvLayer& layer(int index) const;  // as the model numbers them
  uint64_t bytes() const;

 private:
  struct Entry {
    int slot = 0;
    int length = 0;
    int most = 0;  // that it has held
  };
  const Entry& entry(uint64_t session) const;

  const ModelSpec& spec_;
  const Plan plan_;
  Backend& backend_;
  LayerRange layers_;
  int ctx_size_;
  std::vector<KvLayer> kv_;
  std::vector<size_t> slot_bytes_;  // for each layer: K of one session, and V
  std::vector<bool> used_;
  std::map<uint64_t, Entry> entries_;
};

}  // namespace potluck
