// Counts the work of each operation from its shapes.
#include "backends/profiled/profiled_backend.h"

#include <algorithm>
#include <set>
#include <utility>

#include "topology/base/clock.h"

namespace potluck {
namespace {

double f32_bytes(int64_t rows, int64_t n) {
  return static_cast<double>(rows * n) * sizeof(float);
}

// The stored bytes of some rows of a matrix.
double stored_bytes(const Matrix& w, int64_t rows) {
  return row_bytes(w.type, w.columns) * static_cast<double>(rows);
}

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

StepWork ProfiledBackend::take() {
  return std::exchange(work_, {});
}

template <typename Operation>
void ProfiledBackend::timed(Part part, const Operation& operation) {
  backend_.wait();
  const Time begin = now();
  operation();
  backend_.wait();
  of(part).seconds += seconds(now() - begin);
}

template <typename Value>
std::vector<Value> ProfiledBackend::read(Tensor tensor, size_t count) {
  std::vector<Value> values(count);
  backend_.download(tensor, count * sizeof(Value), values.data());
  backend_.wait();
  return values;
}

// row_products: how often a row of x meets a whole matrix [rows, columns] of w.
void ProfiledBackend::count_product(Part part, Product::Kind kind, const Matrix& w,
                                    double row_products) {
  of(part).operations[{kind, w.type, w.care}] += 2.0 * row_products * w.rows * w.columns;
}

void ProfiledBackend::unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) {
  timed(Part::hop, [&] { backend_.unpack(wire, type, rows, n, x); });
  of(Part::hop).cache_bytes += f32_bytes(rows, n) + (row_bytes(type, n) * rows);
}

void ProfiledBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) {
  timed(Part::hop, [&] { backend_.pack(x, type, rows, n, wire); });
  of(Part::hop).cache_bytes += f32_bytes(rows, n) + (row_bytes(type, n) * rows);
}

void ProfiledBackend::rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n,
                               Tensor out) {
  timed(Part::norms, [&] { backend_.rms_norm(x, weight, eps, rows, n, out); });
  of(Part::norms).memory_bytes += 2 * f32_bytes(rows, n);
}

void ProfiledBackend::matmul(Tensor x, const Matrix& w, int rows, Tensor out) {
  timed(w.part, [&] { backend_.matmul(x, w, rows, out); });
  count_product(w.part, Product::Kind::matrix, w, rows);
  of(w.part).stored_bytes += stored_bytes(w, w.rows);
  of(w.part).cache_bytes += f32_bytes(rows, w.columns + w.rows);
  mlp_ = w.part;
}

void ProfiledBackend::qkv(const Qkv& op) {
  timed(Part::norms, [&] { backend_.qkv(op); });
  const int64_t q_width = op.q.empty() ? 0 : op.layer.q_width();
  const int64_t kv_width = op.layer.kv_width();
  of(Part::norms).memory_bytes += 2 * f32_bytes(op.rows, q_width) +
                                  2 * f32_bytes(op.rows, kv_width) +
                                  2.0 * op.rows * row_bytes(op.kv.type, kv_width);
}

void ProfiledBackend::attention(const Attention& op) {
  timed(Part::attention, [&] { backend_.attention(op); });
  const int64_t q_width = op.layer.q_width();
  const int64_t kv_width = op.layer.kv_width();
  const StepParams params = read<StepParams>(op.params, 1).front();
  PartWork& work = of(Part::attention);
  for (int i = 0; i < params.segment_count; ++i) {
    const Keys keys = keys_of(params.segments[i], op.layer.window);
    const double each = 2.0 * (keys.seen * q_width);
    work.operations[{Product::Kind::scores, op.kv.type}] += each;
    work.operations[{Product::Kind::values, op.kv.type}] += each;
    work.stored_bytes += 2.0 * keys.read * row_bytes(op.kv.type, kv_width);
  }
  work.cache_bytes += 2 * f32_bytes(op.rows, q_width);
}

void ProfiledBackend::gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) {
  timed(mlp_, [&] { backend_.gelu_mul(gate, up, rows, n, out); });
  of(mlp_).cache_bytes += 3 * f32_bytes(rows, n);
}

void ProfiledBackend::route(const Route& op) {
  timed(Part::router, [&] { backend_.route(op); });
  const Matrix& w = op.router.projection;
  count_product(Part::router, Product::Kind::router, w, op.rows);
  of(Part::router).stored_bytes += stored_bytes(w, w.rows);
  of(Part::router).cache_bytes += f32_bytes(op.rows, w.columns + 2 * op.used);
}

void ProfiledBackend::experts(const Experts& op) {
  timed(Part::experts, [&] { backend_.experts(op); });
  const auto slots = op.rows * static_cast<size_t>(op.used);
  count_product(Part::experts, Product::Kind::experts, op.gate_up, slots);
  count_product(Part::experts, Product::Kind::experts, op.down, slots);
  const std::vector<int32_t> chosen = read<int32_t>(op.expert, slots);
  const auto hits = std::set(chosen.begin(), chosen.end()).size();
  of(Part::experts).stored_bytes +=
      stored_bytes(op.gate_up, hits * op.gate_up.rows) + stored_bytes(op.down, hits * op.down.rows);
  of(Part::experts).cache_bytes += 2 * f32_bytes(op.rows, op.gate_up.columns);
}

void ProfiledBackend::add_norm(const AddNorm& op) {
  timed(Part::norms, [&] { backend_.add_norm(op); });
  of(Part::norms).memory_bytes += (op.b.h.empty() ? 3 : 4) * f32_bytes(op.rows, op.n);
}

void ProfiledBackend::embed(Tensor ids, const Matrix& table, float embed_scale, int rows,
                            Tensor out) {
  timed(Part::norms, [&] { backend_.embed(ids, table, embed_scale, rows, out); });
  of(Part::norms).stored_bytes += stored_bytes(table, rows);
  of(Part::norms).memory_bytes += f32_bytes(rows, table.columns);
}

void ProfiledBackend::canvas_input(const CanvasInput& op) {
  timed(Part::norms, [&] { backend_.canvas_input(op); });
  of(Part::norms).memory_bytes += (op.s.empty() ? 2 : 3) * f32_bytes(op.rows, op.n);
}

void ProfiledBackend::vocab_attention(const VocabAttention& op) {
  VocabAttention counted = op;
  if (op.ids_summed.empty()) counted.ids_summed = ids_summed_;
  timed(Part::head, [&] { backend_.vocab_attention(counted); });
  const int32_t summed = read<int32_t>(counted.ids_summed, 1).front();
  const Matrix& table = op.table;
  count_product(Part::head, Product::Kind::logits, table, op.rows);
  of(Part::head).operations[{Product::Kind::soft, table.type}] +=
      2.0 * op.rows * summed * table.columns;
  of(Part::head).stored_bytes += stored_bytes(table, table.rows);
  of(Part::head).cache_bytes += 2 * f32_bytes(op.rows, table.columns);
}

// Only verify calls it: it is no part of a step.
void ProfiledBackend::soft_from_logits(const float* z, const Matrix& table, float soft_scale,
                                       int rows, Tensor soft) {
  backend_.soft_from_logits(z, table, soft_scale, rows, soft);
}

}  // namespace potluck
