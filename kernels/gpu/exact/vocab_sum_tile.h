// Weighted sums of 64 rows and 64 columns in f32, a span of 32 ids at a time: a block opens the
// span's part of E in shared memory, and a thread sums 4 rows and 4 columns. It reads no span that
// weighs nothing in all of its rows, which could only have added zeros.
#pragma once

#include "kernels/gpu/device/dequantize.h"
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/exact/vocab_attention.h"

namespace potluck::gpu::vocab_summing {

constexpr int kThreads = 256;
constexpr int kRows = kVocabSumRows, kColumns = kVocabSumColumns;
constexpr int kTilesMost = kVocabChunkMost / kVocabTile;
constexpr int kPerThread = 4;
constexpr int kRun = 8;  // values of E that a thread opens: 32 · 64 / 256
constexpr int kPad = 4;  // keeps rows aligned to 16 bytes

struct Shared {
  alignas(16) float weights[kVocabSpan][kRows + kPad];
  alignas(16) float e[kVocabSpan][kColumns + kPad];
  uint8_t used[kTilesMost];
};

struct Place {
  int first_row, row;  // of the block, of the thread
  int64_t first_column;
  int column;  // of the thread, within the block
};

GPU_DEVICE void collect_used(const VocabSum& a, int first_row, Shared& s) {
  const int tiles = a.chunk.tiles();
  if (thread() < tiles) {
    uint32_t used = 0;
    for (int row = first_row; row < first_row + kRows && row < a.rows; ++row)
      used |= a.used[int64_t{row} * tiles + thread()];
    s.used[thread()] = static_cast<uint8_t>(used);
  }
  barrier();
}

// Loads ids [first, first + kVocabSpan) of the chunk; zeros stand for what is not there.
GPU_DEVICE void load_span(const VocabSum& a, const Place& place, int first, Shared& s) {
  const int id = first + lane();
  for (int r = warp(); r < kRows; r += kThreads / 32) {
    const int row = place.first_row + r;
    const bool real = row < a.rows && id < a.chunk.ids;
    s.weights[lane()][r] = real ? a.weights[int64_t{row} * a.chunk.ids + id] : 0.0f;
  }
  const int e = thread() / (kColumns / kRun), column = thread() % (kColumns / kRun) * kRun;
  float values[kRun] = {};
  if (first + e < a.chunk.ids)
    open_run(a.table.type, a.table.blocks + (a.chunk.first_id + first + e) * a.table.row_bytes,
             opaque(place.first_column + column), a.table.columns, values);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) s.e[e][column + i] = values[i];
}

GPU_DEVICE void add_span(const Place& place, const Shared& s,
                         float (&sums)[kPerThread][kPerThread]) {
  float part[kPerThread][kPerThread] = {};
  for (int id = 0; id < kVocabSpan; ++id) {
    GPU_UNROLL
    for (int r = 0; r < kPerThread; ++r) {
      const float weight = s.weights[id][place.row + r];
      GPU_UNROLL
      for (int c = 0; c < kPerThread; ++c)
        part[r][c] = fma(weight, s.e[id][place.column + c], part[r][c]);
    }
  }
  GPU_UNROLL
  for (int r = 0; r < kPerThread; ++r) {
    GPU_UNROLL
    for (int c = 0; c < kPerThread; ++c) sums[r][c] += part[r][c];
  }
}

GPU_DEVICE void store(const VocabSum& a, const Place& place,
                      const float (&sums)[kPerThread][kPerThread]) {
  GPU_UNROLL
  for (int r = 0; r < kPerThread; ++r) {
    const int row = place.first_row + place.row + r;
    if (row >= a.rows) continue;
    float* soft = a.soft + int64_t{row} * a.table.columns;
    GPU_UNROLL
    for (int c = 0; c < kPerThread; ++c) {
      const int64_t column = place.first_column + place.column + c;
      if (column >= a.table.columns) continue;
      soft[column] = (a.chunk.first_id > 0 ? soft[column] * a.keep[row] : 0.0f) + sums[r][c];
    }
  }
}

// A block of kThreads threads sums the tile from this row and column on.
GPU_DEVICE void sum_tile(const VocabSum& a, int first_row, int64_t first_column, Shared& s) {
  constexpr int kAcross = kColumns / kPerThread;
  const Place place = {first_row, thread() / kAcross * kPerThread, first_column,
                       thread() % kAcross * kPerThread};
  collect_used(a, place.first_row, s);
  float sums[kPerThread][kPerThread] = {};
  for (int first = 0; first < a.chunk.ids; first += kVocabSpan) {
    if (!(s.used[first / kVocabTile] >> first % kVocabTile / kVocabSpan & 1)) continue;
    load_span(a, place, first, s);
    barrier();
    add_span(place, s, sums);
    barrier();
  }
  store(a, place, sums);
}

}  // namespace potluck::gpu::vocab_summing
