// One pass over E in tiles of kSampleTile rows, each read from memory once: packed for the logits,
// then, still in cache, widened to bf16 for Σ p·E, which contracts over rows with scales of their
// own and so fits bf16 better than int8.
//
// Threads meet three times a tile: logits by rows of the canvas; weights packed by rows; sums by
// columns of E, beside the packing of the next tile.
#include <algorithm>
#include <cstring>

#include "kernels/cpu/arena.h"
#include "kernels/cpu/exact_math.h"
#include "kernels/cpu/fast.h"
#include "kernels/cpu/packed_product.h"
#include "kernels/cpu/vocab_fold.h"
#include "topology/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRowsPerTask = 24;  // four tiles of six rows of a product
constexpr int64_t kSlice = 128;       // columns of E a task sums, at least a block of its type
constexpr float kLeastShare = 0x1p-24f;

struct Scratch {
  PackedRows h;        // [rows]
  std::byte* panels;   // [kSampleTile / 32]
  float* logits;       // [rows, kSampleTile], then weights
  float* keep;         // [rows]
  uint8_t* used;       // [tasks, kSampleTile]: by run of ids
  PackedRows weights;  // [rows]
  std::byte* slices;   // one a thread: a panel, then rows of E in bf16
};

struct Shape {
  const PackedProduct& logits;
  const PackedProduct& sums;
  int64_t rows, hidden, slice;

  int64_t tasks() const { return (rows + kRowsPerTask - 1) / kRowsPerTask; }
  size_t panel_bytes() const { return sums.panel_bytes(kSampleTile); }
  size_t slice_bytes() const {
    return panel_bytes() + static_cast<size_t>(kSampleTile * slice) * sizeof(uint16_t);
  }
};

Shape shape_of(Isa isa, DType type, int64_t rows, int64_t hidden) {
  return {packed_product(isa, type), packed_product(isa, DType::bf16), rows, hidden,
          std::max<int64_t>(kSlice, block_shape(type).values)};
}

Scratch carve(const Shape& shape, int threads, Arena& arena) {
  const auto rows = static_cast<size_t>(shape.rows);
  Scratch s;
  s.h = take_rows(shape.logits, shape.hidden, shape.rows, arena);
  s.panels =
      arena.take<std::byte>(kSampleTile / kPanelRows * shape.logits.panel_bytes(shape.hidden));
  s.logits = arena.take<float>(rows * kSampleTile);
  s.keep = arena.take<float>(rows);
  s.used = arena.take<uint8_t>(static_cast<size_t>(shape.tasks() * kSampleTile));
  s.weights = take_rows(shape.sums, kSampleTile, shape.rows, arena);
  s.slices = arena.take<std::byte>(static_cast<size_t>(threads) * shape.slice_bytes());
  return s;
}

class Pass final {
 public:
  Pass(Isa isa, const VocabRequest& request, VocabPartial* partial, float* soft, void* scratch,
       ThreadPool& pool)
      : isa_(isa),
        request_(request),
        shape_(shape_of(isa, request.table.type, request.rows, request.hidden)),
        partial_(partial),
        soft_(soft),
        pool_(pool) {
    Arena arena(scratch);
    s_ = carve(shape_, pool.threads(), arena);
    pool.for_each(request.rows, [&](int64_t t, int) {
      shape_.logits.pack_row(request.h + t * request.hidden, request.hidden, s_.h[t]);
    });
  }

  int64_t run() {
    const int64_t vocab = request_.table.rows;
    pool_.for_each(panels_of(0), [&](int64_t panel, int) { pack(0, panel); });
    int64_t read = 0;
    for (int64_t first = 0; first < vocab; first += kSampleTile) {
      ids_ = std::min<int64_t>(kSampleTile, vocab - first);
      each_rows([&](int64_t begin, int64_t count) {
        logits(begin, count);
        if (!request_.tap) fold(first, begin, count);
      });
      if (request_.tap) {
        request_.tap(request_.first_id + first, ids_, s_.logits);
        each_rows([&](int64_t begin, int64_t count) { fold(first, begin, count); });
      }
      collect_used();
      pool_.for_each(request_.rows, [&](int64_t t, int) { pack_weights(t); });
      const int64_t slices = terms_ ? (request_.hidden + shape_.slice - 1) / shape_.slice : 0;
      const int64_t next = first + kSampleTile;
      pool_.for_each(slices + panels_of(next), [&](int64_t task, int thread) {
        if (task < slices)
          add_slice(first, task * shape_.slice, thread);
        else
          pack(next, task - slices);
      });
      read += terms_;
    }
    return read;
  }

 private:
  int64_t panels_of(int64_t first) const {
    const int64_t ids = std::min<int64_t>(kSampleTile, request_.table.rows - first);
    return ids <= 0 ? 0 : (ids + kPanelRows - 1) / kPanelRows;
  }

  std::byte* panel_at(int64_t panel) const {
    return s_.panels + static_cast<size_t>(panel) * shape_.logits.panel_bytes(request_.hidden);
  }

  void pack(int64_t first, int64_t panel) const {
    const int64_t row = first + panel * kPanelRows;
    const int64_t count = std::min(kPanelRows, request_.table.rows - row);
    shape_.logits.pack_panel(request_.table.slice(row, count), panel_at(panel));
  }

  template <typename Body>
  void each_rows(const Body& body) const {
    pool_.for_each(shape_.tasks(), [&](int64_t task, int) {
      const int64_t begin = task * kRowsPerTask;
      body(begin, std::min(kRowsPerTask, request_.rows - begin));
    });
  }

  // Soft-capped logits of some rows on the tile: [rows, ids].
  void logits(int64_t begin, int64_t count) const {
    for (int64_t panel = 0; panel * kPanelRows < ids_; ++panel) {
      const int64_t column = panel * kPanelRows;
      shape_.logits.multiply({s_.h.from(begin), count, panel_at(panel), request_.hidden,
                              s_.logits + begin * ids_ + column, ids_,
                              std::min(kPanelRows, ids_ - column)});
    }
    exact_softcaps(s_.logits + begin * ids_, count * ids_, request_.softcap);
  }

  // Ids that stay together in Σ p·E, so that what is left out changes no other bit: run i is ids
  // [i · run_length(), (i + 1) · run_length()) of the tile.
  int64_t run_length() const { return shape_.sums.together; }

  // Weights that count, and which runs of ids have one in these rows.
  void fold(int64_t first, int64_t begin, int64_t count) const {
    uint8_t* used = s_.used + begin / kRowsPerTask * kSampleTile;
    std::memset(used, 0, kSampleTile);
    for (int64_t t = begin; t < begin + count; ++t) {
      float* weights = s_.logits + t * ids_;
      s_.keep[t] = fold_tile(request_, t, request_.first_id + first, ids_, weights, partial_[t]);
      const float least = partial_[t].mass * kLeastShare;
      for (int64_t j = 0; j < ids_; ++j) {
        if (weights[j] < least) weights[j] = 0;
        used[j / run_length()] |= weights[j] != 0;
      }
    }
  }

  // The ids of the runs that any row uses. Ids past the last have weight 0 and read the last row.
  void collect_used() {
    terms_ = 0;
    for (int64_t run = 0; run * run_length() < ids_; ++run)
      for (int64_t task = 0; task < shape_.tasks(); ++task)
        if (s_.used[task * kSampleTile + run]) {
          for (int64_t i = 0; i < run_length(); ++i)
            term_id_[terms_++] = static_cast<int16_t>(run * run_length() + i);
          break;
        }
  }

  void pack_weights(int64_t t) const {
    const float* weights = s_.logits + t * ids_;
    float some[kSampleTile];
    for (int64_t i = 0; i < terms_; ++i) some[i] = term_id_[i] < ids_ ? weights[term_id_[i]] : 0;
    shape_.sums.pack_row(some, terms_, s_.weights[t]);
  }

  // soft[:, column …] = keep · soft + Σ weight · E over the used ids, one slice of columns.
  void add_slice(int64_t first, int64_t column, int thread) const {
    std::byte* panel = s_.slices + static_cast<size_t>(thread) * shape_.slice_bytes();
    auto* values = reinterpret_cast<uint16_t*>(panel + shape_.panel_bytes());
    const int64_t width = std::min(shape_.slice, request_.hidden - column);
    widen_used(first, column, width, values);
    for (int64_t i = 0; i < width; i += kPanelRows) {
      const int64_t count = std::min(kPanelRows, width - i);
      pack_value_panel(isa_, values + i, shape_.slice, terms_, count, panel);
      shape_.sums.multiply({s_.weights, request_.rows, panel, terms_, soft_ + column + i,
                            request_.hidden, count, s_.keep});
    }
  }

  void widen_used(int64_t first, int64_t column, int64_t width, uint16_t* values) const {
    const WeightView& table = request_.table;
    const BlockShape block = block_shape(table.type);
    const size_t row = row_bytes(table.type, table.columns);
    const auto* bytes = static_cast<const std::byte*>(table.blocks) +
                        static_cast<size_t>(column / block.values * block.bytes);
    for (int64_t i = 0; i < terms_; ++i) {
      const int64_t id = first + std::min<int64_t>(term_id_[i], ids_ - 1);
      widen_bf16(isa_, table.type, bytes + static_cast<size_t>(id) * row, width,
                 values + i * shape_.slice);
    }
  }

  const Isa isa_;
  const VocabRequest& request_;
  const Shape shape_;
  VocabPartial* partial_;
  float* soft_;
  ThreadPool& pool_;
  Scratch s_;
  int64_t ids_ = 0;
  int64_t terms_ = 0;             // ids of the tile that Σ p·E reads
  int16_t term_id_[kSampleTile];  // within the tile
};

}  // namespace

size_t fast_vocab_scratch(Isa isa, DType type, int64_t rows, int64_t hidden, int threads) {
  Arena arena(nullptr);
  carve(shape_of(isa, type, rows, hidden), threads, arena);
  return arena.used();
}

int64_t fast_vocab_attention(Isa isa, const VocabRequest& request, VocabPartial* partial,
                             float* soft, void* scratch, ThreadPool& pool) {
  CHECK(request.first_id % kSampleTile == 0, request.first_id);
  start_rows(request.rows, request.hidden, partial, soft);
  return Pass(isa, request, partial, soft, scratch, pool).run();
}

}  // namespace potluck::cpu
