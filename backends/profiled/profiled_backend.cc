// Counts the work of each operation from its shapes.
#include "backends/profiled/profiled_backend.h"

#include <algorithm>
#include <set>
#include <utility>

namespace potluck {
namespace {

double f32_bytes(int64_t rows, int64_t n) {
  return static_cast<double>(rows * n) * sizeof(float);
}

// The stored bytes of some rows of a matrix.
double stored_bytes(const Matrix& w, int64_t rows) {
  return row_bytes(w.type, w.columns) * static_cast<double>(rows);
}

// So many are timed before their marks are read.
constexpr size_t kOperationsMost = 2048;

// How many keys of a segment are read, and how many its rows see, summed.
struct Keys {
  int64_t read = 0, seen = 0;
};

Keys keys_of(const Segment& s, int window) {
  const int64_t position = s.position, rows = s.rows;
  if (s.mode == Mode::denoise) {
    const int64_t cached = window ? std::min<int64_t>(position, window - 1) : position;
    return {cached + rows, rows * (cached + rows)};
  }
  const auto seen_by = [&](int64_t t) {
    return window ? std::min<int64_t>(position + t + 1, window) : position + t + 1;
  };
  Keys keys{seen_by(0) + rows - 1, 0};
  for (int64_t t = 0; t < rows; ++t) keys.seen += seen_by(t);
  return keys;
}

}  // namespace

ProfiledBackend::ProfiledBackend(Backend& backend, std::unique_ptr<Stopwatch> stopwatch)
    : backend_(backend),
      stopwatch_(stopwatch ? std::move(stopwatch) : std::make_unique<HostStopwatch>(backend)),
      ids_summed_(backend.allocate(sizeof(int32_t))) {}

StepWork ProfiledBackend::take() {
  settle();
  return std::exchange(work_, {});
}

void ProfiledBackend::settle() {
  const std::vector<double> between = stopwatch_->take();  // operation, pause, operation …
  for (size_t i = 0; i < timed_.size(); ++i) of(timed_[i]).seconds += between[2 * i];
  timed_.clear();
  std::vector<std::vector<std::byte>> values;
  for (const Kept& kept : kept_)
    backend_.download(kept.copy, kept.bytes, values.emplace_back(kept.bytes).data());
  backend_.wait();
  for (size_t i = 0; i < kept_.size(); ++i) kept_[i].count(values[i].data());
  kept_.clear();
}

template <typename Operation>
bool ProfiledBackend::timed(Part part, const Operation& operation) {
  if (on_) stopwatch_->mark();
  operation();
  if (!on_) return false;
  stopwatch_->mark();
  timed_.push_back(part);
  if (timed_.size() == kOperationsMost) settle();
  return true;
}

void ProfiledBackend::keep(Tensor tensor, size_t bytes,
                           std::function<void(const void* values)> count) {
  const size_t index = kept_.size();
  if (index == copies_.size()) copies_.emplace_back();
  if (copies_[index].bytes < bytes) copies_[index] = backend_.allocate(bytes);
  backend_.copy(tensor, 0, copies_[index], 0, bytes);
  kept_.push_back({copies_[index], bytes, std::move(count)});
}

// row_products: how often a row of x meets a whole matrix [rows, columns] of w.
void ProfiledBackend::count_product(Part part, Product::Kind kind, const Matrix& w,
                                    double row_products) {
  of(part).operations[{kind, w.type, w.care}] += 2.0 * row_products * w.rows * w.columns;
}

void ProfiledBackend::unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) {
  if (!timed(Part::hop, [&] { backend_.unpack(wire, type, rows, n, x); })) return;
  of(Part::hop).cache_bytes += f32_bytes(rows, n) + (row_bytes(type, n) * rows);
}

void ProfiledBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) {
  if (!timed(Part::hop, [&] { backend_.pack(x, type, rows, n, wire); })) return;
  of(Part::hop).cache_bytes += f32_bytes(rows, n) + (row_bytes(type, n) * rows);
}

void ProfiledBackend::unpack(Tensor wire, DType type, int64_t rows, int64_t n, Tensor x) {
  timed(Part::hop, [&] { backend_.unpack(wire, type, rows, n, x); });
  of(Part::hop).cache_bytes += f32_bytes(rows, n) + (row_bytes(type, n) * rows);
}

void ProfiledBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, Tensor wire) {
  timed(Part::hop, [&] { backend_.pack(x, type, rows, n, wire); });
  of(Part::hop).cache_bytes += f32_bytes(rows, n) + (row_bytes(type, n) * rows);
}

void ProfiledBackend::rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n,
                               Tensor out) {
  if (!timed(Part::norms, [&] { backend_.rms_norm(x, weight, eps, rows, n, out); })) return;
  of(Part::norms).memory_bytes += 2 * f32_bytes(rows, n);
}

void ProfiledBackend::matmul(Tensor x, const Matrix& w, int rows, Tensor out) {
  if (!timed(w.part, [&] { backend_.matmul(x, w, rows, out); })) return;
  count_product(w.part, Product::Kind::matrix, w, rows);
  of(w.part).stored_bytes += stored_bytes(w, w.rows);
  of(w.part).cache_bytes += f32_bytes(rows, w.columns + w.rows);
  mlp_ = w.part;
}

void ProfiledBackend::qkv(const Qkv& op) {
  if (!timed(Part::norms, [&] { backend_.qkv(op); })) return;
  const int64_t q_width = op.q.empty() ? 0 : op.layer.q_width();
  const int64_t kv_width = op.layer.kv_width();
  of(Part::norms).memory_bytes += 2 * f32_bytes(op.rows, q_width) +
                                  2 * f32_bytes(op.rows, kv_width) +
                                  2.0 * op.rows * row_bytes(op.kv.type, kv_width);
}

void ProfiledBackend::attention(const Attention& op) {
  if (!timed(Part::attention, [&] { backend_.attention(op); })) return;
  of(Part::attention).cache_bytes += 2 * f32_bytes(op.rows, op.layer.q_width());
  keep(op.params, sizeof(StepParams), [this, layer = op.layer, type = op.kv.type](const void* p) {
    count_keys(*static_cast<const StepParams*>(p), layer, type);
  });
}

void ProfiledBackend::count_keys(const StepParams& params, const AttentionLayer& layer,
                                 DType type) {
  PartWork& work = of(Part::attention);
  for (int i = 0; i < params.segment_count; ++i) {
    const Keys keys = keys_of(params.segments[i], layer.window);
    const double each = 2.0 * (keys.seen * layer.q_width());
    work.operations[{Product::Kind::scores, type}] += each;
    work.operations[{Product::Kind::values, type}] += each;
    work.stored_bytes += 2.0 * keys.read * row_bytes(type, layer.kv_width());
  }
}

void ProfiledBackend::gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) {
  if (!timed(mlp_, [&] { backend_.gelu_mul(gate, up, rows, n, out); })) return;
  of(mlp_).cache_bytes += 3 * f32_bytes(rows, n);
}

void ProfiledBackend::route(const Route& op) {
  if (!timed(Part::router, [&] { backend_.route(op); })) return;
  const Matrix& w = op.router.projection;
  count_product(Part::router, Product::Kind::router, w, op.rows);
  of(Part::router).stored_bytes += stored_bytes(w, w.rows);
  of(Part::router).cache_bytes += f32_bytes(op.rows, w.columns + 2 * op.used);
}

void ProfiledBackend::experts(const Experts& op) {
  if (!timed(Part::experts, [&] { backend_.experts(op); })) return;
  const size_t slots = size_t(op.rows) * op.used;
  count_product(Part::experts, Product::Kind::experts, op.gate_up, slots);
  count_product(Part::experts, Product::Kind::experts, op.down, slots);
  of(Part::experts).cache_bytes += 2 * f32_bytes(op.rows, op.gate_up.columns);
  keep(op.expert, slots * sizeof(int32_t),
       [this, slots, gate_up = op.gate_up, down = op.down](const void* values) {
         const auto* chosen = static_cast<const int32_t*>(values);
         const auto hits = std::set(chosen, chosen + slots).size();
         of(Part::experts).stored_bytes +=
             stored_bytes(gate_up, hits * gate_up.rows) + stored_bytes(down, hits * down.rows);
       });
}

void ProfiledBackend::add_norm(const AddNorm& op) {
  if (!timed(Part::norms, [&] { backend_.add_norm(op); })) return;
  of(Part::norms).memory_bytes += (op.b.h.empty() ? 3 : 4) * f32_bytes(op.rows, op.n);
}

void ProfiledBackend::embed(Tensor ids, const Matrix& table, float embed_scale, int rows,
                            Tensor out) {
  if (!timed(Part::norms, [&] { backend_.embed(ids, table, embed_scale, rows, out); })) return;
  of(Part::norms).stored_bytes += stored_bytes(table, rows);
  of(Part::norms).memory_bytes += f32_bytes(rows, table.columns);
}

void ProfiledBackend::canvas_input(const CanvasInput& op) {
  if (!timed(Part::norms, [&] { backend_.canvas_input(op); })) return;
  of(Part::norms).memory_bytes += (op.s.empty() ? 2 : 3) * f32_bytes(op.rows, op.n);
}

void ProfiledBackend::vocab_attention(const VocabAttention& op) {
  VocabAttention counted = op;
  if (on_ && op.ids_summed.empty()) counted.ids_summed = ids_summed_;
  if (!timed(Part::head, [&] { backend_.vocab_attention(counted); })) return;
  const Matrix& table = op.table;
  count_product(Part::head, Product::Kind::logits, table, op.rows);
  of(Part::head).stored_bytes += stored_bytes(table, table.rows);
  of(Part::head).cache_bytes += 2 * f32_bytes(op.rows, table.columns);
  keep(counted.ids_summed, sizeof(int32_t), [this, rows = op.rows, table](const void* summed) {
    of(Part::head).operations[{Product::Kind::soft, table.type}] +=
        2.0 * rows * *static_cast<const int32_t*>(summed) * table.columns;
  });
}

// Only verify calls it: it is no part of a step.
void ProfiledBackend::soft_from_logits(const float* z, const Matrix& table, float soft_scale,
                                       int rows, Tensor soft) {
  backend_.soft_from_logits(z, table, soft_scale, rows, soft);
}

}  // namespace potluck
