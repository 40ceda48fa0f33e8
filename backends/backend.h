// Backend: a device as memory plus about a dozen operations, in the order a block uses them.
//
// Order. A Backend is one stream. What its methods enqueue takes effect in the order of the calls,
// so an operation sees what those before it have written; the host sees nothing of it before
// wait(). Only wait() waits; a method that needs a host buffer for longer than the call says so
// below, and then the buffer is the Backend's until wait() returns: it must live so long, must not
// be written, and holds a result only from then on. All else that is passed (structs of operands,
// spans, handles) is taken when the call returns.
//
// Memory. Tensors and matrices are device memory of this Backend and live as long as it does.
// Nothing above this interface follows a Tensor's address: the host reads a tensor by download()
// and wait(). After reserve() no operation allocates.
//
// Values are f32 unless said otherwise. Lengths, positions, temperatures and noise keys are read
// from a StepParams in device memory when the operation runs. An operation's result for a row
// depends on that row's operands alone, not on the rows beside it: the same bits alone and
// together.
//
// Failures. Methods that take memory throw Fault{memory} and leave what was there as it was; every
// method may throw Fault{world} when the device itself fails. An operand that does not fit its
// tensor is a bug and ends in a CHECK.
//
// A Backend belongs to one thread, which makes all calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "backends/operations.h"
#include "backends/tensor.h"
#include "topology/base/dtype.h"
#include "topology/base/segment.h"
#include "topology/model/model_spec.h"

namespace potluck {

struct DeviceInfo {
  std::string name;  // "cpu (AMD EPYC, 2 threads)"
  int units = 1;     // that work at once, each in scratch of its own: a CPU's threads
  uint64_t bytes_total = 0;
  uint64_t bytes_free = 0;
};

// Sizes known when a plan loads, for reserving scratch once.
struct Limits {
  const ModelSpec* spec = nullptr;
  int rows = 0;       // of a pass at most
  int64_t keys = 0;   // of an attention row at most
  bool head = false;  // vocabulary attention will be asked for
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual DeviceInfo info() const = 0;

  // Returns zeroed memory. Throws Fault{memory}.
  virtual Tensor allocate(size_t bytes) = 0;
  // Takes the bytes before it returns; operations that were enqueued before still see the old ones.
  virtual void upload(const void* host, size_t bytes, Tensor to, size_t offset = 0) = 0;
  // `host` is the Backend's until wait(), which fills it.
  virtual void download(Tensor from, size_t bytes, void* host, size_t offset = 0) = 0;
  // The two ranges may lie in one tensor if they do not overlap.
  virtual void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) = 0;
  // Sets `count` floats from byte `offset` on.
  virtual void fill(float value, size_t count, Tensor to, size_t offset = 0) = 0;
  // Returns when everything that was enqueued has run and every host buffer is the caller's again.
  virtual void wait() = 0;

  // A tensor [values.size()] with these values, taken before it returns. Throws Fault{memory}.
  virtual Tensor load_vector(std::span<const float> values) = 0;
  // A matrix from [count, rows, columns] stored blocks. The Backend holds `blocks` for as long as
  // it reads them, which may be as long as it lives (a CPU uses mapped bytes as they are). Throws
  // Fault{memory}, and Fault{input} that says which block when a value is not finite.
  virtual Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                             int64_t rows, int64_t columns, Care care) = 0;
  // Reserves scratch for operations within these limits on the matrices that are loaded; called
  // once or more, after loading. Throws Fault{memory}.
  virtual void reserve(const Limits& limits) = 0;

  // x [rows, n] from rows of `type` at `wire` in host memory, which is the Backend's until wait().
  virtual void unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) = 0;
  // Rows of `type` from x [rows, n]; `wire` in host memory is the Backend's until wait(), which
  // fills it.
  virtual void pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) = 0;
  // The same with `wire` in memory of this Backend's device, which another may have allocated and
  // which is this one's until wait().
  virtual void unpack(Tensor wire, DType type, int64_t rows, int64_t n, Tensor x) = 0;
  virtual void pack(Tensor x, DType type, int64_t rows, int64_t n, Tensor wire) = 0;

  // In all that follow `rows` repeats params.rows, as a launch bound.

  // out = x / rms(x) ⊙ weight, [rows, n]; weight [n], or empty for the weightless norm. out may be
  // x.
  virtual void rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) = 0;
  // out [rows, w.rows] = x [rows, w.columns] · Wᵀ
  virtual void matmul(Tensor x, const Matrix& w, int rows, Tensor out) = 0;
  // q: norm and RoPE of each head, in place. K: the same of k. V: the weightless norm of v. Rounds
  // K and V to kv.type and writes encoded rows into their session's ring, canvas rows into fresh
  // (one session's canvas rows are stored from its row_begin on).
  virtual void qkv(const Qkv& op) = 0;
  // out = softmax(q·Kᵀ)·V over the keys that each row sees: its session's ring, and for canvas rows
  // fresh too.
  virtual void attention(const Attention& op) = 0;
  // out = gelu(gate) ⊙ up, [rows, n]; out may be gate.
  virtual void gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) = 0;
  // The experts of each row and their weights: the most probable of softmax(W·(rms(x) ⊙ scale) /
  // √H), weighted by their shares times per_expert_scale.
  virtual void route(const Route& op) = 0;
  // out = Σ_k weight_k · down_e(gelu(gate) ⊙ up), [gate; up] = gate_up_e · x, e = expert_k.
  virtual void experts(const Experts& op) = 0;
  // out = (x + rms(a + b) ⊙ weight) · scale, rounded to stream.
  virtual void add_norm(const AddNorm& op) = 0;

  // out[t,:] = E[ids[t],:] · embed_scale; ids: [rows] i32. The head alone calls this and those that
  // follow.
  virtual void embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) = 0;
  // out = rms₀(x + s) on denoise rows, x on encode rows, rounded to stream. (shard/MODEL.md §4)
  virtual void canvas_input(const CanvasInput& op) = 0;
  // Vocabulary attention (kernels/cpu/reference/vocab_attention.h): a candidate for each row, and
  // soft = Σ p·E · soft_scale. The tap is called on this thread, within this call or wait(), for
  // ranges of ids that cover the vocabulary once; its logits are gone when it returns.
  virtual void vocab_attention(const VocabAttention& op) = 0;
  // soft = softmax(z)·E·soft_scale; z [rows, V] in host memory is the Backend's until wait()
  // (verify replays recorded logits).
  virtual void soft_from_logits(const float* z, const Matrix& table, float soft_scale, int rows,
                                Tensor soft) = 0;
};

}  // namespace potluck
