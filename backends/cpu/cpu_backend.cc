// Memory of CpuBackend, and the operations of a stage but qkv.
#include "backends/cpu/cpu_backend.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "backends/cpu/free_memory.h"
#include "backends/cpu/host_memory.h"
#include "backends/finite_weights.h"
#include "kernels/cpu/fast/attention.h"
#include "kernels/cpu/fast/experts.h"
#include "kernels/cpu/fast/gelu.h"
#include "kernels/cpu/fast/matmul.h"
#include "kernels/cpu/fast/route.h"
#include "kernels/cpu/fast/stored_matmul.h"
#include "kernels/cpu/fast/vocab_attention.h"
#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/add_norm.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/gelu.h"
#include "kernels/cpu/reference/matmul.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "kernels/cpu/reference/route.h"
#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/plan/plan.h"

namespace potluck {
namespace {

constexpr size_t kAlignment = 64;  // a cache line, and the widest vector

int one_thread_a_core() {
  return std::clamp(static_cast<int>(cpu::allowed_cores().size()), 1, kThreadsMax);
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

}  // namespace

CpuBackend::CpuBackend(int threads, cpu::Isa isa, bool pin)
    : isa_(isa), pool_(threads > 0 ? threads : one_thread_a_core(), pin) {}

CpuBackend::~CpuBackend() {
  for (Tensor& tensor : tensors_) std::free(tensor.data);
}

DeviceInfo CpuBackend::info() const {
  DeviceInfo info;
  info.name = "cpu (" + processor_name() + ", " + std::to_string(pool_.threads()) + " threads" +
              (fast() ? std::string(", ") + cpu::isa_name(isa_) : "") + ")";
  info.units = pool_.threads();
  info.bytes_total = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  info.bytes_free = free_memory();
  return info;
}

ReservedBytes CpuBackend::reserved() const {
  ReservedBytes bytes;
  for (const Tensor& tensor : tensors_) bytes.tensors += tensor.bytes;
  for (const cpu::Pages& pages : pages_) bytes.tensors += pages.bytes();
  for (const Stored& matrix : matrices_) bytes.panels += matrix.panel_bytes;
  return bytes;
}

Tensor CpuBackend::allocate(size_t bytes) {
  if (bytes >= cpu::Pages::kHugePage) {
    pages_.emplace_back(bytes).touch(pool_);
    return {pages_.back().data(), bytes};
  }
  const size_t rounded = (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, rounded);
  if (!data)
    throw Fault(FaultKind::memory,
                "cannot allocate " + std::to_string(bytes) + " bytes of host memory");
  std::memset(data, 0, rounded);
  tensors_.push_back({data, bytes});
  return tensors_.back();
}

void CpuBackend::upload(const void* host, size_t bytes, Tensor to, size_t offset) {
  CHECK(offset + bytes <= to.bytes, offset, bytes, to.bytes);
  std::memcpy(bytes_at(to, offset), host, bytes);
}

void CpuBackend::download(Tensor from, size_t bytes, void* host, size_t offset) {
  CHECK(offset + bytes <= from.bytes, offset, bytes, from.bytes);
  std::memcpy(host, bytes_at(from, offset), bytes);
}

void CpuBackend::copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) {
  CHECK(from_offset + bytes <= from.bytes && to_offset + bytes <= to.bytes, bytes);
  std::memmove(bytes_at(to, to_offset), bytes_at(from, from_offset), bytes);
}

void CpuBackend::fill(float value, size_t count, Tensor to, size_t offset) {
  CHECK(offset % sizeof(float) == 0 && offset + count * sizeof(float) <= to.bytes, offset, count);
  std::fill_n(f32(to) + offset / sizeof(float), count, value);
}

Tensor CpuBackend::load_vector(std::span<const float> values) {
  const Tensor tensor = allocate(values.size_bytes());
  upload(values.data(), values.size_bytes(), tensor, 0);
  return tensor;
}

Matrix CpuBackend::load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                               int64_t rows, int64_t columns, Care care) {
  Matrix matrix{static_cast<int>(matrices_.size()), type, count, rows, columns, care};
  const cpu::WeightView view{type, blocks.get(), count * rows, columns};
  if (stores_panels(matrix)) {
    matrices_.push_back(store_panels(cpu::packed_product(isa_, type, use_of(matrix)), view, count));
  } else {
    check_finite(view, pool_);
    matrices_.push_back({std::move(blocks), view});
  }
  return matrix;
}

// Experts are stored as panels wherever a product has them, other matrices where theirs opens
// stored panels.
bool CpuBackend::stores_panels(const Matrix& matrix) const {
  if (!fast() || matrix.care == Care::raw) return false;
  const cpu::PackedProduct& product = cpu::packed_product(isa_, matrix.type, use_of(matrix));
  return product.unpack_panel || (product.store_panel && matrix.count > 1);
}

// Reads the file's blocks and touches the panels' pages for the first time in all threads at once.
CpuBackend::Stored CpuBackend::store_panels(const cpu::PackedProduct& product,
                                            const cpu::WeightView& view, int64_t count) {
  const auto pages = std::make_shared<cpu::Pages>(cpu::store_bytes(product, view, count));
  if (!cpu::store_panels(product, view, count, pages->data(), pool_)) check_finite(view, pool_);
  return {
      {pages, pages->data()}, {view.type, pages->data(), view.rows, view.columns}, pages->bytes()};
}

cpu::Use CpuBackend::use_of(const Matrix& matrix) {
  if (matrix.count > 1) return cpu::Use::few;
  switch (matrix.care) {
    case Care::usual:
    case Care::raw:
      return cpu::Use::many;
    case Care::fine:
      return cpu::Use::fine;
    case Care::finest:
      return cpu::Use::finest;
  }
  __builtin_unreachable();
}

cpu::ProductKind CpuBackend::product_kind(const Product& product) const {
  if (!fast()) return {};  // the reference has one product for all
  switch (product.kind) {
    case Product::Kind::router:
      return {.fused = true};
    case Product::Kind::experts:
      return {isa_, product.type, cpu::Use::few};
    case Product::Kind::matrix:
      return {isa_, product.type, use_of({.care = product.care})};
    case Product::Kind::logits:
      return {isa_, product.type, cpu::Use::many};
    case Product::Kind::scores:  // as fast_attention: scores of fine products, Σ p·V of plain ones
      return {isa_, DType::bf16, cpu::Use::fine};
    case Product::Kind::values:
    case Product::Kind::soft:  // as fast_vocab_attention
      return {isa_, DType::bf16, cpu::Use::many};
  }
  __builtin_unreachable();
}

const CpuBackend::Stored& CpuBackend::stored(const Matrix& matrix) const {
  CHECK(!matrix.empty() && static_cast<size_t>(matrix.id) < matrices_.size(), matrix.id);
  return matrices_[matrix.id];
}

void CpuBackend::reserve(const Limits& limits) {
  if (limits.head)
    reserve_head(limits);
  else
    reserve_stage(limits);
  if (fast()) reserve_fast(limits);
  if (scratch_.bytes < scratch_bytes_) scratch_ = allocate(scratch_bytes_);
}

void CpuBackend::reserve_stage(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  const size_t threads = pool_.threads();
  int64_t columns = std::max({spec.hidden, spec.intermediate, spec.expert_intermediate});
  int64_t kv_width = 0;
  int head_dim = 0;
  for (const LayerSpec& layer : spec.layers) {
    columns = std::max<int64_t>(columns, layer.q_width(spec.heads));
    kv_width = std::max<int64_t>(kv_width, layer.kv_width());
    head_dim = std::max(head_dim, layer.head_dim);
    const cpu::AttentionShape shape{spec.heads, layer.kv_heads, layer.head_dim};
    const int64_t keys =
        layer.full ? limits.keys : std::min<int64_t>(limits.keys, spec.window + limits.rows);
    attention_stride_ = std::max(attention_stride_, cpu::attention_scratch(shape, keys));
    if (fast()) need_scratch(cpu::fast_attention_scratch(isa_, shape) * threads);
  }
  cpu::ExpertsView experts;
  experts.experts = spec.experts;
  experts.used = spec.experts_used;
  experts.inner = spec.expert_intermediate;
  experts.hidden = spec.hidden;
  need_scratch(cpu::matmul_scratch(columns) * threads * sizeof(float));
  need_scratch(cpu::route_scratch(limits.rows, spec.hidden, spec.experts, pool_.threads()) *
               sizeof(float));
  need_scratch(cpu::experts_scratch(experts, limits.rows, pool_.threads()));
  if (!fast()) need_scratch(attention_stride_ * threads * sizeof(float));
  need_scratch(qkv_scratch(kv_width, head_dim, pool_.threads()));
}

// Scratch for the fast products of the matrices that are loaded so far.
void CpuBackend::reserve_fast(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  const int threads = pool_.threads();
  const int64_t gate_up_rows = int64_t{spec.experts} * 2 * spec.expert_intermediate;
  const int64_t down_rows = int64_t{spec.experts} * spec.hidden;
  for (const Stored& w : matrices_) {
    if (limits.head)
      need_scratch(cpu::fast_vocab_scratch(isa_, w.view.type, limits.rows, spec.hidden, threads));
    for (const cpu::Use use : {cpu::Use::many, cpu::Use::fine, cpu::Use::finest}) {
      const cpu::PackedProduct& product = cpu::packed_product(isa_, w.view.type, use);
      const auto scratch = w.panel_bytes > 0 && product.unpack_panel
                               ? cpu::fast_stored_matmul_scratch
                               : cpu::fast_matmul_scratch;
      need_scratch(scratch(product, w.view.columns, limits.rows, threads));
    }
    if (w.view.rows != gate_up_rows) continue;
    for (const Stored& down : matrices_)
      if (down.view.rows == down_rows)
        need_scratch(cpu::fast_experts_scratch(isa_,
                                               {w.view, down.view, spec.experts, spec.experts_used,
                                                spec.expert_intermediate, spec.hidden},
                                               limits.rows, threads));
  }
}

void CpuBackend::unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) {
  CHECK(static_cast<size_t>(rows * n) * sizeof(float) <= x.bytes, rows, n);
  const size_t bytes = row_bytes(type, n);
  cpu::each_row(rows, pool_, [&](int64_t t, int) {
    cpu::dequantize_row(type, static_cast<const std::byte*>(wire) + t * bytes, f32(x) + t * n, n);
  });
}

void CpuBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) {
  const size_t bytes = row_bytes(type, n);
  cpu::each_row(rows, pool_, [&](int64_t t, int) {
    cpu::quantize_row(type, f32(x) + t * n, static_cast<std::byte*>(wire) + t * bytes, n);
  });
}

void CpuBackend::unpack(Tensor wire, DType type, int64_t rows, int64_t n, Tensor x) {
  CHECK(rows * row_bytes(type, n) <= wire.bytes, rows, n);
  unpack(wire.data, type, rows, n, x);
}

void CpuBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, Tensor wire) {
  CHECK(rows * row_bytes(type, n) <= wire.bytes, rows, n);
  pack(x, type, rows, n, wire.data);
}

void CpuBackend::rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) {
  cpu::rms_norm({f32(x), f32(weight), eps}, rows, n, f32(out), pool_);
}

void CpuBackend::matmul(Tensor x, const Matrix& w, int rows, Tensor out) {
  if (!fast())
    return cpu::matmul({f32(x), w.columns}, rows, view(w), {f32(out), w.rows}, f32(scratch_),
                       pool_);
  const auto multiply = stored(w).panel_bytes > 0 ? cpu::fast_stored_matmul : cpu::fast_matmul;
  multiply(cpu::packed_product(isa_, w.type, use_of(w)), {f32(x), rows, view(w), f32(out)},
           scratch_.data, pool_);
}

void CpuBackend::attention(const Attention& op) {
  const StepParams& p = step_params(op.params);
  const AttentionLayer& layer = op.layer;
  const KvLayer &kv = op.kv, &fresh = op.fresh;
  const cpu::AttentionShape shape{layer.heads, layer.kv_heads, layer.head_dim, layer.window,
                                  kv.type};
  const int64_t q_width = layer.q_width();
  const size_t kv_row = row_bytes(kv.type, layer.kv_width());
  for (int i = 0; i < p.segment_count; ++i) {
    const Segment& s = p.segments[i];
    const size_t slot = (s.slot * kv.capacity) * kv_row;
    const size_t row = s.row_begin * kv_row;
    cpu::AttentionSegment segment{s.mode == Mode::denoise, s.position, s.rows, {}, {}};
    segment.cache = {bytes_at(kv.k, slot), bytes_at(kv.v, slot), kv.capacity};
    segment.fresh = {bytes_at(fresh.k, row), bytes_at(fresh.v, row), s.rows};
    segment.q = f32(op.q) + s.row_begin * q_width;
    segment.out = f32(op.out) + s.row_begin * q_width;
    if (fast())
      cpu::fast_attention(isa_, shape, segment, scratch_.data, pool_);
    else
      cpu::attention(shape, segment, f32(scratch_), attention_stride_, pool_);
  }
}

void CpuBackend::gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) {
  const auto gelu = fast() ? cpu::fast_gelu_mul_row : cpu::gelu_mul_row;
  cpu::each_row(rows, pool_, [&](int64_t t, int) {
    gelu(f32(gate) + t * n, f32(up) + t * n, n, f32(out) + t * n);
  });
}

void CpuBackend::route(const Route& op) {
  const RouterWeights& router = op.router;
  const cpu::RouterView routing{f32(router.scale), view(router.projection),
                                f32(router.per_expert_scale), op.eps, op.used};
  (fast() ? cpu::fast_route : cpu::route)({f32(op.x), op.rows, i32(op.expert), f32(op.weight)},
                                          routing, f32(scratch_), pool_);
}

void CpuBackend::experts(const Experts& op) {
  const Matrix &gate_up = op.gate_up, &down = op.down;
  const cpu::ExpertsView experts{view(gate_up), view(down),   static_cast<int>(gate_up.count),
                                 op.used,       down.columns, gate_up.columns};
  const cpu::RoutedRows in{f32(op.x), op.rows, i32(op.expert), f32(op.weight)};
  if (fast())
    cpu::fast_experts(
        {isa_, experts, {stored(gate_up).panel_bytes > 0, stored(down).panel_bytes > 0}}, in,
        f32(op.out), scratch_.data, pool_);
  else
    cpu::experts(in, experts, f32(op.out), scratch_.data, pool_);
}

void CpuBackend::add_norm(const AddNorm& op) {
  const StepParams& p = step_params(op.params);
  for (int i = 0; i < p.segment_count; ++i) {
    const Segment& s = p.segments[i];
    const int64_t first = s.row_begin * op.n;
    const auto branch = [first](const Branch& of) {
      return cpu::Branch{of.h.empty() ? nullptr : f32(of.h) + first, f32(of.norm)};
    };
    const float factor = op.scale.empty() ? 1.0f : f32(op.scale)[static_cast<int>(s.mode)];
    cpu::add_norm(
        {f32(op.x) + first, branch(op.a), branch(op.b), f32(op.weight), op.eps, factor, op.stream},
        s.rows, op.n, f32(op.out) + first, pool_);
  }
}

}  // namespace potluck
