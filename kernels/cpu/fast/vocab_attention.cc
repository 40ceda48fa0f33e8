// One pass over E in groups of kGroup rows, each read from memory once: packed for the logits,
// then, still in the last cache, dequantized to bf16 for Σ p·E, which contracts over rows with
// scales of their own and so fits bf16 better than int8.
//
// Threads meet three times a group: rows of the canvas are folded; weights are packed by rows; sums
// by columns of E, beside the logits of the next group by panels.
//
// Best: 33.4 ms for 8,192 rows of Q8_0 and a canvas of 256 on one core, 708 GFLOP/s of some 1,200
// that AMX reaches in turn with AVX-512; 155 ms by AVX-512, 273 by AVX2 (Xeon with AMX,
// 2026-11-26).
#include "kernels/cpu/fast/vocab_attention.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/fast/fast_math.h"
#include "kernels/cpu/machine/arena.h"
#include "kernels/cpu/packed/choose.h"
#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/lanes.h"
#include "kernels/cpu/reference/vocab_fold.h"
#include "topology/base/check.h"

namespace potluck::cpu {
namespace {

// soft, 2.9 MB of a canvas, is read from beyond L2 once a group of so many rows of E. A group has
// parts: a part's panel of values stays in L1, its slice of them, 256 KB, in L2. (Best of three:
// 34.7 ms, groups in one part 36.3; groups of 512 33.2, but threads meet twice as often and share
// tasks less evenly.)
constexpr int64_t kTiles = 4, kGroup = kTiles * kSampleTile;
constexpr int64_t kParts = 2, kPart = kGroup / kParts;
constexpr int64_t kStride = kGroup + 16;  // logits from row to row: an odd number of lines
constexpr int64_t kRowsPerTask = 16;      // folded by one task
constexpr int64_t kSlice = 256;           // columns of E that a task sums: a block of any type
constexpr int64_t kAhead = 8;  // rows of E prefetched, which come from L3: 35.8 ms, 40.1 without
constexpr float kLeastShare = 0x1p-24f;

struct Scratch {
  PackedRows h;                // [rows]
  float* logits;               // [rows, kStride], then weights
  float *keep, *ones;          // [rows]
  uint8_t* used;               // [tasks, kGroup]: ids that a row of the task uses
  PackedRows weights[kParts];  // [rows]
  float* soft;                 // [panels, rows, kPanelRows]: a product's output lies together
  std::byte* work;  // one a thread: a panel of E; or a panel of values, then values in bf16
};

struct Shape {
  const PackedProduct& logits;
  const PackedProduct& sums;
  int64_t rows, hidden;

  int64_t soft_panels() const { return panel_count(hidden); }
  int64_t soft_panel() const { return rows * kPanelRows; }
  int64_t tasks() const { return (rows + kRowsPerTask - 1) / kRowsPerTask; }
  size_t value_panel_bytes() const { return sums.panel_bytes(kPart); }
  size_t work_bytes() const {
    return std::max(logits.panel_bytes(hidden),
                    value_panel_bytes() + (kPart * kSlice) * sizeof(uint16_t));
  }
};

Shape shape_of(Isa isa, DType type, int64_t rows, int64_t hidden) {
  return {packed_product(isa, type), packed_product(isa, DType::bf16), rows, hidden};
}

Scratch take_scratch(const Shape& shape, int threads, Arena& arena) {
  const size_t rows = shape.rows;
  Scratch s;
  s.h = take_rows(shape.logits, shape.hidden, shape.rows, arena);
  s.logits = arena.take<float>(rows * kStride);
  s.keep = arena.take<float>(rows);
  s.ones = arena.take<float>(rows);
  s.used = arena.take<uint8_t>(shape.tasks() * kGroup);
  for (PackedRows& weights : s.weights) weights = take_rows(shape.sums, kPart, shape.rows, arena);
  s.soft = arena.take<float>(shape.soft_panels() * shape.soft_panel());
  s.work = arena.take<std::byte>(threads * shape.work_bytes());
  return s;
}

// Scales weights for a max that has risen and drops those under `least`; used[j] is set where one
// is left.
POTLUCK_CLONES void drop_least(float* weights, int64_t n, float scale, float least, uint8_t* used) {
  for (int64_t j = 0; j < n; ++j) {
    const float weight = weights[j] * scale;
    const bool counts = !(weight < least);
    weights[j] = counts ? weight : 0.0f;
    used[j] |= counts;
  }
}

// Ids [begin, end) of a group.
struct Span {
  int16_t begin, end;
};

// The ids of a part that Σ p·E reads, in spans as long as can be.
struct UsedIds {
  int64_t spans, count;
  Span span[kPart];

  void add(int64_t begin, int64_t end) {
    if (spans == 0 || span[spans - 1].end != begin) span[spans++].begin = begin;
    span[spans - 1].end = end;
    count += end - begin;
  }
};

class Pass final {
 public:
  Pass(Isa isa, const VocabRequest& request, VocabPartial* partial, void* scratch, ThreadPool& pool)
      : isa_(isa),
        request_(request),
        shape_(shape_of(isa, request.table.type, request.rows, request.hidden)),
        partial_(partial),
        pool_(pool) {
    Arena arena(scratch);
    s_ = take_scratch(shape_, pool.threads(), arena);
    std::fill_n(s_.ones, shape_.rows, 1.0f);
    std::fill_n(s_.soft, shape_.soft_panels() * shape_.soft_panel(), 0.0f);
    pool.for_each(request.rows, [&](int64_t t, int) {
      shape_.logits.pack_row(request.h + t * request.hidden, request.hidden, s_.h[t]);
    });
  }

  // Returns the ids that Σ p·E read.
  int64_t run() {
    pool_.for_each(panels_of(0), [&](int64_t panel, int thread) { logits(0, panel, thread); });
    int64_t read = 0;
    for (int64_t first = 0; first < request_.table.rows; first += kGroup) {
      fold_group(first);
      const int64_t used = collect_used(ids_of(first));
      pool_.for_each(request_.rows, [&](int64_t t, int) { pack_weights(first, t); });
      const int64_t slices = used ? (request_.hidden + kSlice - 1) / kSlice : 0;
      const int64_t next = first + kGroup;
      pool_.for_each(slices + panels_of(next), [&](int64_t task, int thread) {
        if (task < slices)
          add_slice(first, task * kSlice, thread);
        else
          logits(next, task - slices, thread);
      });
      read += used;
    }
    return read;
  }

  // soft: [rows, hidden].
  void write_soft(float* soft) const {
    pool_.for_each(request_.rows, [&](int64_t t, int) {
      float* to = soft + t * request_.hidden;
      for (int64_t i = 0; i < request_.hidden; i += kPanelRows)
        std::copy_n(soft_at(i) + t * kPanelRows, std::min(kPanelRows, request_.hidden - i), to + i);
    });
  }

 private:
  int64_t ids_of(int64_t first) const {
    return std::clamp<int64_t>(request_.table.rows - first, 0, kGroup);
  }
  int64_t panels_of(int64_t first) const { return panel_count(ids_of(first)); }
  float* soft_at(int64_t column) const {
    return s_.soft + column / kPanelRows * shape_.soft_panel();
  }
  std::byte* work_of(int thread) const { return s_.work + thread * shape_.work_bytes(); }

  // The tap takes rows side by side.
  int64_t stride(int64_t first) const { return request_.tap ? ids_of(first) : kStride; }
  float* row(int64_t first, int64_t t) const { return s_.logits + t * stride(first); }

  // Takes the logits of all rows on one panel of the group, packed and used by the same thread.
  void logits(int64_t first, int64_t panel, int thread) const {
    const WeightView& table = request_.table;
    const int64_t column = panel * kPanelRows, count = std::min(kPanelRows, ids_of(first) - column);
    std::byte* packed = work_of(thread);
    shape_.logits.pack_panel(table.slice(first + column, count), packed);
    PanelProduct p{s_.h,          request_.rows, packed, request_.hidden, row(first, 0) + column,
                   stride(first), count};
    set_next(table, first + column + kPanelRows * pool_.threads(), p);
    shape_.logits.multiply(p);
  }

  template <typename Body>
  void each_rows(const Body& body) const {
    pool_.for_each(shape_.tasks(), [&](int64_t task, int) {
      const int64_t begin = task * kRowsPerTask;
      const int64_t end = std::min(begin + kRowsPerTask, request_.rows);
      for (int64_t t = begin; t < end; ++t) body(t);
    });
  }

  void fold_group(int64_t first) const {
    const int64_t ids = ids_of(first);
    std::memset(s_.used, 0, shape_.tasks() * kGroup);
    const auto cap = [&](int64_t t) { fast_softcaps(row(first, t), ids, request_.softcap); };
    if (request_.tap) {
      each_rows(cap);
      request_.tap(first, ids, s_.logits);
      each_rows([&](int64_t t) { fold(first, t); });
    } else {
      each_rows([&](int64_t t) {
        cap(t);
        fold(first, t);
      });
    }
  }

  // A row's logits become the weights that count, all for its max after the group.
  void fold(int64_t first, int64_t t) const {
    const int64_t ids = ids_of(first);
    VocabPartial& p = partial_[t];
    float *weights = row(first, t), max[kTiles];
    const float before = p.max;
    for (int64_t tile = 0, at = 0; at < ids; ++tile, at += kSampleTile) {
      const int64_t n = std::min<int64_t>(kSampleTile, ids - at);
      fold_tile(request_, t, {first + at, n, weights + at, fast_exps}, p);
      max[tile] = p.max;
    }
    s_.keep[t] = exact_exp(before - p.max);
    uint8_t* used = s_.used + t / kRowsPerTask * kGroup;
    for (int64_t tile = 0, at = 0; at < ids; ++tile, at += kSampleTile)
      drop_least(weights + at, std::min<int64_t>(kSampleTile, ids - at),
                 exact_exp(max[tile] - p.max), p.mass * kLeastShare, used + at);
  }

  // Collects the ids that any row uses, in whole runs that stay together in Σ p·E: so what is left
  // out changes no other bit. Returns how many.
  int64_t collect_used(int64_t ids) {
    for (int64_t task = 1; task < shape_.tasks(); ++task)
      for (int64_t j = 0; j < kGroup; ++j) s_.used[j] |= s_.used[task * kGroup + j];
    for (UsedIds& part : used_) part.spans = part.count = 0;
    for (int64_t begin = 0; begin < ids; begin += shape_.sums.together) {
      const int64_t end = std::min(begin + shape_.sums.together, ids);
      if (std::any_of(s_.used + begin, s_.used + end, [](uint8_t used) { return used; }))
        used_[begin / kPart].add(begin, end);
    }
    int64_t count = 0;
    for (const UsedIds& part : used_) count += part.count;
    return count;
  }

  void pack_weights(int64_t first, int64_t t) const {
    const float* weights = row(first, t);
    for (int64_t part = 0; part < kParts; ++part) {
      const UsedIds& used = used_[part];
      float some[kPart], *to = some;
      for (int64_t i = 0; i < used.spans; ++i)
        to = std::copy(weights + used.span[i].begin, weights + used.span[i].end, to);
      shape_.sums.pack_row(some, used.count, s_.weights[part][t]);
    }
  }

  // soft[:, column …] = keep · soft + Σ weight · E over the used ids, one slice of columns.
  void add_slice(int64_t first, int64_t column, int thread) const {
    const float* keep = s_.keep;
    for (int64_t part = 0; part < kParts; ++part) {
      if (used_[part].count == 0) continue;
      add_part(first, part, column, keep, thread);
      keep = s_.ones;
    }
  }

  void add_part(int64_t first, int64_t part, int64_t column, const float* keep, int thread) const {
    std::byte* panel = work_of(thread);
    auto* values = reinterpret_cast<uint16_t*>(panel + shape_.value_panel_bytes());
    const int64_t width = std::min(kSlice, request_.hidden - column), terms = used_[part].count;
    dequantize_used(first, used_[part], column, width, values);
    for (int64_t i = 0; i < width; i += kPanelRows) {
      const int64_t count = std::min(kPanelRows, width - i);
      pack_value_panel(isa_, {values + i, kSlice, terms, count}, panel);
      PanelProduct p{s_.weights[part],    request_.rows, panel, terms,
                     soft_at(column + i), kPanelRows,    count, keep};
      if (i + kPanelRows < width) {
        p.next = reinterpret_cast<const std::byte*>(soft_at(column + i + kPanelRows));
        p.next_bytes = shape_.soft_panel() * sizeof(float);
      }
      shape_.sums.multiply(p);
    }
  }

  void dequantize_used(int64_t first, const UsedIds& used, int64_t column, int64_t width,
                       uint16_t* values) const {
    const WeightView& table = request_.table;
    const BlockShape block = block_shape(table.type);
    const size_t row = row_bytes(table.type, table.columns);
    const size_t piece = row_bytes(table.type, width);
    const auto* bytes = static_cast<const std::byte*>(table.blocks) + first * row +
                        (column / block.values * block.bytes);
    for (int64_t i = 0; i < used.spans; ++i)
      for (int64_t id = used.span[i].begin; id < used.span[i].end; ++id, values += kSlice) {
        const std::byte* from = bytes + id * row;
        if (id + kAhead < used.span[i].end)
          for (size_t line = 0; line < piece; line += 64)
            __builtin_prefetch(from + kAhead * row + line);
        dequantize_bf16(isa_, table.type, from, width, values);
      }
  }

  const Isa isa_;
  const VocabRequest& request_;
  const Shape shape_;
  VocabPartial* partial_;
  ThreadPool& pool_;
  Scratch s_;
  UsedIds used_[kParts];  // of the group
};

}  // namespace

size_t fast_vocab_scratch(Isa isa, DType type, int64_t rows, int64_t hidden, int threads) {
  Arena arena(nullptr);
  take_scratch(shape_of(isa, type, rows, hidden), threads, arena);
  return arena.used();
}

int64_t fast_vocab_attention(Isa isa, const VocabRequest& request, VocabPartial* partial,
                             float* soft, void* scratch, ThreadPool& pool) {
  start_rows(request.rows, partial);
  Pass pass(isa, request, partial, scratch, pool);
  const int64_t read = pass.run();
  pass.write_soft(soft);
  return read;
}

}  // namespace potluck::cpu
