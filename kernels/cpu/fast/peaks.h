// The peaks of this machine, measured, for benches to divide by. All threads of a pool work at
// once, and the best of many short rounds counts, so that a neighbour's slice spoils some rounds
// and not the result.
#pragma once

#include <compare>
#include <cstddef>

#include "kernels/cpu/machine/isa.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/packed/choose.h"
#include "topology/base/dtype.h"

namespace potluck::cpu {

// A product that some operation is made of. Isa::portable stands for those of f32, the reference's
// or fused.
struct ProductKind {
  Isa isa = Isa::portable;
  DType type = DType::f32;
  Use use = Use::many;
  bool fused = false;
  auto operator<=>(const ProductKind&) const = default;
};

const char* product_name(const ProductKind& kind);  // "int8", "bf16 fine (AMX)", "f32 fused"

// Operations a second (a multiplication and an addition are two) of a product whose rows and panel
// stay in each thread's cache; the best of a few shapes.
double product_peak(const ProductKind& kind, ThreadPool& pool);

// Bytes a second of reading memory from end to end: of `bytes` of it (more than any cache holds),
// on huge pages where the system gives them; each 32 MB at the best of several passes. Throws
// Fault{memory}.
double read_peak(size_t bytes, ThreadPool& pool);

// Bytes a second of reading these, once, as they lie: pages of a file are mapped on the way.
double read_rate(const std::byte* bytes, size_t count, ThreadPool& pool);

// Bytes a second of touching fresh Pages, of so many bytes, which the system zeroes: once, as a
// load does. Memory that a virtual machine must be given by its host first is many times slower
// than memory that was in use a moment ago; which this takes is the caller's to see to. Throws
// Fault{memory}.
double touch_rate(size_t bytes, ThreadPool& pool);

// Bytes a second, read and written ones added, of copying a canvas' activations (3 MB) row by row,
// as one operation hands them to the next: threads meet, and each takes rows that another may have
// written. `bytes` are copied before the same come again: of two canvases they stay in the caches
// that cores share, of more than any cache holds they come from memory. Throws Fault{memory}.
double copy_peak(size_t bytes, ThreadPool& pool);

}  // namespace potluck::cpu
