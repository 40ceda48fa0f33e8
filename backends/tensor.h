// Handles to what lies in a device's memory: tensors, weight matrices and the K and V of a layer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/part.h"
#include "topology/base/dtype.h"
#include "topology/model/tensor_table.h"

namespace potluck {

// A region of device memory, which lives as long as the Backend that allocated it. `data` is an
// address on the device: only that Backend may follow it.
struct Tensor {
  void* data = nullptr;
  size_t bytes = 0;
  bool empty() const { return data == nullptr; }
};

// A weight matrix [count, rows, columns], possibly repacked: opaque to all but its Backend.
struct Matrix {
  int id = -1;  // index in the backend's table
  DType type = DType::f32;
  int64_t count = 1;  // experts; 1 for a plain matrix
  int64_t rows = 0;
  int64_t columns = 0;
  Care care = Care::usual;
  Part part = Part::dense;  // the part of a step that its products belong to, for benches alone
  bool empty() const { return id < 0; }
};

// K and V of one layer: the rings of all sessions, [slots, capacity, kv_heads, head_dim] each, in
// `type`.
struct KvLayer {
  Tensor k, v;
  int64_t capacity = 0;
  DType type = DType::bf16;
};

}  // namespace potluck
