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

// Stored bytes of some rows of a matrix.
double stored_bytes(const Matrix& w, int64_t rows) {
  return static_cast<double>(row_bytes(w.type, w.columns)) * static_cast<double>(rows);
}

// Keys of a segment: how many are read, and how many its rows see, summed (reference.h).
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

const char* part_name(Part part) {
  constexpr const char* kNames[kParts] = {"projections", "attention", "router",       "experts",
                                          "dense",       "norms",     "conditioning", "head",
                                          "sampling",    "hop"};
  return kNames[static_cast<size_t>(part)];
}

StepWork ProfiledBackend::take() {
  return std::exchange(work_, {});
}

template <typename Operation>
void ProfiledBackend::timed(Part part, const Operation& operation) {
  const Time begin = now();
  operation();
  of(part).seconds += seconds(now() - begin);
}

// The reference has one product for all.
cpu::ProductKind ProfiledBackend::product(DType type, cpu::Use use) const {
  if (backend_.isa() == cpu::Isa::portable) return {};
  return {backend_.isa(), type, use};
}

// row_products: how often a row of x meets a whole matrix [rows, columns] of w.
void ProfiledBackend::count_product(Part part, const Matrix& w, cpu::Use use, double row_products) {
  of(part).operations[product(w.type, use)] +=
      2.0 * row_products * static_cast<double>(w.rows) * static_cast<double>(w.columns);
}

void ProfiledBackend::unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) {
  timed(Part::hop, [&] { backend_.unpack(wire, type, rows, n, x); });
  of(Part::hop).passing_bytes +=
      f32_bytes(rows, n) + static_cast<double>(row_bytes(type, n) * rows);
}

void ProfiledBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) {
  timed(Part::hop, [&] { backend_.pack(x, type, rows, n, wire); });
  of(Part::hop).passing_bytes +=
      f32_bytes(rows, n) + static_cast<double>(row_bytes(type, n) * rows);
}

void ProfiledBackend::rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n,
                               Tensor out) {
  timed(Part::norms, [&] { backend_.rms_norm(x, weight, eps, rows, n, out); });
  of(Part::norms).far_bytes += 2 * f32_bytes(rows, n);
}

void ProfiledBackend::matmul(Tensor x, const Matrix& w, int rows, Tensor out) {
  timed(w.part, [&] { backend_.matmul(x, w, rows, out); });
  count_product(w.part, w, CpuBackend::use_of(w), rows);
  of(w.part).stored_bytes += stored_bytes(w, w.rows);
  of(w.part).passing_bytes += f32_bytes(rows, w.columns + w.rows);
  mlp_ = w.part;
}

void ProfiledBackend::qkv(Tensor params, const AttentionLayer& layer, Tensor q_norm, Tensor k_norm,
                          Tensor q, Tensor k, Tensor v, const KvLayer& kv, const KvLayer& fresh,
                          int rows) {
  timed(Part::norms,
        [&] { backend_.qkv(params, layer, q_norm, k_norm, q, k, v, kv, fresh, rows); });
  const int64_t q_width = q.data ? static_cast<int64_t>(layer.heads) * layer.head_dim : 0;
  const int64_t kv_width = static_cast<int64_t>(layer.kv_heads) * layer.head_dim;
  of(Part::norms).far_bytes += 2 * f32_bytes(rows, q_width) + 2 * f32_bytes(rows, kv_width) +
                               2.0 * rows * static_cast<double>(row_bytes(kv.type, kv_width));
}

// As fast_attention: scores of fine products, Σ p·V of plain ones, both in bf16.
void ProfiledBackend::attention(Tensor params, const AttentionLayer& layer, Tensor q,
                                const KvLayer& kv, const KvLayer& fresh, int rows, Tensor out) {
  timed(Part::attention, [&] { backend_.attention(params, layer, q, kv, fresh, rows, out); });
  const int64_t q_width = static_cast<int64_t>(layer.heads) * layer.head_dim;
  const int64_t kv_width = static_cast<int64_t>(layer.kv_heads) * layer.head_dim;
  const auto& p = *static_cast<const StepParams*>(params.data);
  PartWork& work = of(Part::attention);
  for (int i = 0; i < p.segment_count; ++i) {
    const Keys keys = keys_of(p.segments[i], layer.window);
    const double each = 2.0 * static_cast<double>(keys.seen * q_width);
    work.operations[product(DType::bf16, cpu::Use::fine)] += each;
    work.operations[product(DType::bf16, cpu::Use::many)] += each;
    work.stored_bytes +=
        2.0 * static_cast<double>(keys.read) * static_cast<double>(row_bytes(kv.type, kv_width));
  }
  work.passing_bytes += 2 * f32_bytes(rows, q_width);
}

void ProfiledBackend::gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) {
  timed(mlp_, [&] { backend_.gelu_mul(gate, up, rows, n, out); });
  of(mlp_).passing_bytes += 3 * f32_bytes(rows, n);
}

void ProfiledBackend::route(Tensor x, const RouterWeights& router, int used, float eps, int rows,
                            Tensor expert, Tensor weight) {
  timed(Part::router, [&] { backend_.route(x, router, used, eps, rows, expert, weight); });
  const Matrix& w = router.projection;
  of(Part::router).operations[{.fused = backend_.isa() != cpu::Isa::portable}] +=
      2.0 * rows * static_cast<double>(w.rows) * static_cast<double>(w.columns);
  of(Part::router).stored_bytes += stored_bytes(w, w.rows);
  of(Part::router).passing_bytes += f32_bytes(rows, w.columns + 2 * used);
}

void ProfiledBackend::experts(Tensor x, const Matrix& gate_up, const Matrix& down, int used,
                              Tensor expert, Tensor weight, int rows, Tensor out) {
  timed(Part::experts,
        [&] { backend_.experts(x, gate_up, down, used, expert, weight, rows, out); });
  const double slots = static_cast<double>(rows) * used;
  count_product(Part::experts, gate_up, cpu::Use::few, slots);
  count_product(Part::experts, down, cpu::Use::few, slots);
  const std::set<int32_t> hit(expert.i32(), expert.i32() + static_cast<int64_t>(rows) * used);
  const auto hits = static_cast<int64_t>(hit.size());
  of(Part::experts).stored_bytes +=
      stored_bytes(gate_up, hits * gate_up.rows) + stored_bytes(down, hits * down.rows);
  of(Part::experts).passing_bytes += 2 * f32_bytes(rows, gate_up.columns);
}

void ProfiledBackend::add_norm(Tensor params, Tensor x, const Branch& a, const Branch& b,
                               Tensor weight, Tensor scale, float eps, int rows, int64_t n,
                               DType stream, Tensor out) {
  timed(Part::norms,
        [&] { backend_.add_norm(params, x, a, b, weight, scale, eps, rows, n, stream, out); });
  of(Part::norms).far_bytes += (b.h.data ? 4 : 3) * f32_bytes(rows, n);
}

void ProfiledBackend::embed(Tensor ids, const Matrix& table, float embed_scale, int rows,
                            Tensor out) {
  timed(Part::norms, [&] { backend_.embed(ids, table, embed_scale, rows, out); });
  of(Part::norms).stored_bytes += stored_bytes(table, rows);
  of(Part::norms).far_bytes += f32_bytes(rows, table.columns);
}

void ProfiledBackend::canvas_input(Tensor params, Tensor x, Tensor s, float eps, int rows,
                                   int64_t n, DType stream, Tensor out) {
  timed(Part::norms, [&] { backend_.canvas_input(params, x, s, eps, rows, n, stream, out); });
  of(Part::norms).far_bytes += (s.data ? 3 : 2) * f32_bytes(rows, n);
}

// As fast_vocab_attention: logits of products of E's type, Σ p·E in bf16.
void ProfiledBackend::vocab_attention(Tensor params, Tensor h, const Matrix& table, float softcap,
                                      float soft_scale, int rows, Tensor candidates, Tensor soft,
                                      const LogitTap& tap) {
  timed(Part::head, [&] {
    backend_.vocab_attention(params, h, table, softcap, soft_scale, rows, candidates, soft, tap);
  });
  count_product(Part::head, table, cpu::Use::many, rows);
  of(Part::head).operations[product(DType::bf16, cpu::Use::many)] +=
      2.0 * rows * static_cast<double>(backend_.ids_summed()) * static_cast<double>(table.columns);
  of(Part::head).stored_bytes += stored_bytes(table, table.rows);
  of(Part::head).passing_bytes += 2 * f32_bytes(rows, table.columns);
}

// verify's alone: no part of a step.
void ProfiledBackend::soft_from_logits(const float* z, const Matrix& table, float soft_scale,
                                       int rows, Tensor soft) {
  backend_.soft_from_logits(z, table, soft_scale, rows, soft);
}

}  // namespace potluck
