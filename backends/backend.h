// Backend: a device as memory plus about a dozen operations, in the order a block uses them.
//
// Operations enqueue; nothing is visible to the host before wait(). All pointers (Tensor, Matrix)
// are device memory of this backend. Lengths, positions, temperatures and noise keys are read from
// a StepParams in device memory, so that a recorded graph can be replayed for the next step.
// Nothing allocates after load: scratch is reserved by reserve().
//
// One thread owns a Backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/part.h"
#include "topology/base/dtype.h"
#include "topology/base/step_key.h"
#include "topology/model/model_spec.h"

namespace potluck {

// A region of device memory. Freed by the Backend's destructor, or by Backend::free.
struct Tensor {
  void* data = nullptr;
  size_t bytes = 0;
  float* f32() const { return static_cast<float*>(data); }
  int32_t* i32() const { return static_cast<int32_t*>(data); }
};

// What a matrix' products need of a backend that rounds: nothing more, 16 bits of x, or 16 bits of
// x and of W. Raw: operations of its own read the file's blocks (embedding, vocabulary, router).
enum class Care : uint8_t { usual, fine, finest, raw };

// A weight matrix, possibly repacked: opaque to all but its Backend. [count, rows, columns].
struct Matrix {
  int id = -1;  // index in the backend's table
  DType type = DType::f32;
  int64_t count = 1;  // experts; 1 for a plain matrix
  int64_t rows = 0;
  int64_t columns = 0;
  Care care = Care::usual;
  Part part = Part::dense;  // that its products belong to; for benches alone
  bool empty() const { return id < 0; }
};

inline constexpr int kMaxSegments = 64;

enum class Mode : int32_t { encode = 0, denoise = 1 };

// One session's rows within a pass; a pass runs several. Row ranges are consecutive and disjoint.
struct Segment {
  Mode mode = Mode::encode;
  int32_t slot = 0;       // the session's KV slot on this worker
  int32_t position = 0;   // of the first row = tokens cached before it
  int32_t row_begin = 0;  // within the pass
  int32_t rows = 0;
  // denoise on the head only:
  float inverse_temperature = 1.0f;
  StepKey key;
};

// Everything that changes from pass to pass; lives in device memory.
struct StepParams {
  int32_t segment_count = 0;
  int32_t rows = 0;
  Segment segments[kMaxSegments];
};

// K and V of one layer: all sessions' rings, [slots, capacity, kv_heads, head_dim] each, in `type`.
struct KvLayer {
  Tensor k, v;
  int64_t capacity = 0;
  DType type = DType::bf16;
};

struct AttentionLayer {
  int heads = 0, kv_heads = 0, head_dim = 0;
  int window = 0;  // 0: full
  int rope_pairs = 0;
  float rope_theta = 0;
  float eps = 1e-6f;
};

// What a block adds to its residual: h, or with a norm's weight rms(h)·norm; h may be empty.
struct Branch {
  Tensor h, norm;
};

struct RouterWeights {
  Tensor scale;             // [H] f32
  Matrix projection;        // [experts, H]
  Tensor per_expert_scale;  // [experts] f32
};

struct DeviceInfo {
  std::string name;  // "cpu (AMD EPYC, 2 threads)"
  int threads = 0;   // of a CPU backend
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

// One canvas row's answer of the head.
struct RowCandidate {
  int32_t argmax;
  int32_t sample;
  float entropy;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual DeviceInfo info() const = 0;

  // Memory.
  virtual Tensor allocate(size_t bytes) = 0;  // zeroed; throws Fault{memory}
  virtual void free(Tensor& tensor) = 0;
  virtual void upload(const void* host, size_t bytes, Tensor to, size_t offset = 0) = 0;
  virtual void download(Tensor from, size_t bytes, void* host,
                        size_t offset = 0) = 0;  // after wait()
  virtual void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) = 0;
  virtual void wait() = 0;

  // Takes [count, rows, columns] stored blocks. `keep_alive` is held while the matrix lives (a CPU
  // uses the mapped bytes as they are).
  virtual Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                             int64_t rows, int64_t columns, Care care) = 0;
  virtual void reserve(const Limits& limits) = 0;

  // Stream and hop: f32 rows on the device, bytes of `type` at `wire` (host memory).
  virtual void unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) = 0;
  virtual void pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) = 0;  // after wait()

  // Operations; x etc. are [params.rows, …] f32. `rows` repeats params.rows as a launch bound.
  // weight may be empty (data == nullptr): the weightless norm.
  virtual void rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) = 0;
  virtual void matmul(Tensor x, const Matrix& w, int rows, Tensor out) = 0;
  // q: per-head norm and RoPE in place; K: the same of k; V: weightless norm of v (of k when v is
  // empty). Rounds K and V to kv.type, writes encoded rows into their session's ring, canvas rows
  // into fresh (one session's canvas rows are stored from its row_begin on).
  virtual void qkv(Tensor params, const AttentionLayer& layer, Tensor q_norm, Tensor k_norm,
                   Tensor q, Tensor k, Tensor v, const KvLayer& kv, const KvLayer& fresh,
                   int rows) = 0;
  virtual void attention(Tensor params, const AttentionLayer& layer, Tensor q, const KvLayer& kv,
                         const KvLayer& fresh, int rows, Tensor out) = 0;
  virtual void gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) = 0;
  virtual void route(Tensor x, const RouterWeights& router, int used, float eps, int rows,
                     Tensor expert, Tensor weight) = 0;
  virtual void experts(Tensor x, const Matrix& gate_up, const Matrix& down, int used, Tensor expert,
                       Tensor weight, int rows, Tensor out) = 0;
  // out = (x + rms(a + b)·weight) · scale(mode), rounded to stream; b may be empty; scale: two
  // floats on the device, [encode, denoise], or empty for 1.
  virtual void add_norm(Tensor params, Tensor x, const Branch& a, const Branch& b, Tensor weight,
                        Tensor scale, float eps, int rows, int64_t n, DType stream, Tensor out) = 0;

  // Head. out[t,:] = E[ids[t]] · embed_scale.
  virtual void embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) = 0;
  // out = rms₀(x + s) on denoise rows, x on encode rows, rounded to stream. (model.md §4)
  virtual void canvas_input(Tensor params, Tensor x, Tensor s, float eps, int rows, int64_t n,
                            DType stream, Tensor out) = 0;
  using LogitTap = std::function<void(int64_t first_id, int64_t ids, const float* logits)>;
  // Vocabulary attention (kernels/cpu/reference/vocab_attention.h). soft: [rows, H] = Σ p·E ·
  // soft_scale. candidates: [rows] RowCandidate.
  virtual void vocab_attention(Tensor params, Tensor h, const Matrix& table, float softcap,
                               float soft_scale, int rows, Tensor candidates, Tensor soft,
                               const LogitTap& tap) = 0;
  // soft = softmax(z)·E·soft_scale for z [rows, V] on the host (verify's forced replay).
  virtual void soft_from_logits(const float* z, const Matrix& table, float soft_scale, int rows,
                                Tensor soft) = 0;
};

struct BackendOptions {
  int threads = 0;  // of a CPU backend; 0: one a core this process may use
  Precision precision = Precision::exact;
  std::string isa;   // of a fast CPU backend; empty: the best that this machine has
  bool pin = false;  // a CPU backend's threads to a core each
};

// "cpu", "cuda:0", "hip:0". Throws Fault{input} for what this build or machine does not have,
// naming what it has.
std::unique_ptr<Backend> make_backend(const std::string& device, const BackendOptions& options);
std::unique_ptr<Backend> make_backend(const std::string& device, int threads);  // exact

}  // namespace potluck
