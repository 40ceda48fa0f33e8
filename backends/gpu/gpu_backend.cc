// Device memory, and the ways between host and card.
#include "backends/gpu/gpu_backend.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "backends/gpu/device_memory.h"
#include "backends/gpu/watchdog.h"
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/hop.h"
#include "kernels/gpu/exact/memory.h"
#include "kernels/gpu/exact/route.h"
#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

// As much may be on its way before the host waits for it to arrive.
constexpr size_t kPinnedMost = 64 << 20;
constexpr size_t kPiece = 4 << 20;        // of a longer download
constexpr size_t kArenaMost = 1 << 20;    // longer uploads take turns in two buffers
constexpr size_t kFillBytes = 256 << 20;  // at once: 16 ms where memory is slowest (16 GB/s)

}  // namespace

GpuBackend::GpuBackend(std::unique_ptr<GpuDriver> driver, const GpuOptions& options)
    : driver_(std::move(driver)),
      options_(options),
      ranges_(options.ranges ? std::make_unique<Ranges>(options.name) : nullptr),
      flops_at_once_(options.flops_at_once > 0 ? options.flops_at_once
                                               : most_flops(driver_->facts(), options.precision)),
      stream_(driver_->make_stream()),
      pinned_(std::make_unique<PinnedArena>(*driver_)),
      staging_(std::make_unique<Staging>(*driver_, stream_)),
      list_(std::make_unique<LaunchList>(*driver_, stream_, options.use_graphs, ranges_.get())) {}

GpuBackend::~GpuBackend() {
  list_.reset();
  driver_->free_stream(stream_);
  staging_.reset();
  pinned_.reset();
  for (const Tensor& tensor : tensors_) driver_->free(tensor.data);
}

DeviceInfo GpuBackend::info() const {
  const GpuFacts now = driver_->facts();
  return {.name = options_.name + " (" + now.name + ", " + now.architecture + ")",
          .units = now.units,
          .bytes_total = now.bytes_total,
          .bytes_free = now.bytes_free};
}

Tensor GpuBackend::allocate(size_t bytes) {
  const size_t words = (std::max<size_t>(bytes, 1) + 3) / 4;
  tensors_.reserve(tensors_.size() + 1);
  const Tensor tensor{driver_->allocate(words * 4), bytes};
  tensors_.push_back(tensor);
  for (size_t done = 0; done < words; done += kFillBytes / 4)
    driver_->fill(0, at<uint32_t>(tensor, done * 4), std::min(words - done, kFillBytes / 4),
                  stream_);
  return tensor;
}

// Pinned memory of one piece at most, after what is on its way has arrived where there is too much.
std::byte* GpuBackend::take_pinned(size_t bytes) {
  if (pinned_->used() + bytes > kPinnedMost) drain();
  return pinned_->take(bytes);
}

void GpuBackend::drain() {
  list_->run();
  driver_->wait(stream_);
  for (const Download& d : downloads_) std::memcpy(d.host, d.pinned, d.bytes);
  downloads_.clear();
  pinned_->reset();
}

// Goes before the pass that is being listed, unless that uses the tensor: so a step's uploads do
// not part its operations.
void GpuBackend::send(const void* host, size_t bytes, Tensor to, size_t offset) {
  forget_angles(to);
  if (list_->touches(to.data, to.bytes)) list_->run();
  const auto* from = static_cast<const std::byte*>(host);
  if (bytes > kArenaMost) return staging_->send(from, bytes, at<std::byte>(to, offset));
  std::byte* pinned = take_pinned(bytes);
  std::memcpy(pinned, from, bytes);
  driver_->copy_in(pinned, at<std::byte>(to, offset), bytes, stream_);
}

void GpuBackend::fetch(const void* from, size_t bytes, void* host) {
  list_->run();
  for (size_t done = 0; done < bytes; done += kPiece) {
    const size_t piece = std::min(kPiece, bytes - done);
    std::byte* pinned = take_pinned(piece);
    driver_->copy_out(static_cast<const std::byte*>(from) + done, pinned, piece, stream_);
    downloads_.push_back({pinned, static_cast<std::byte*>(host) + done, piece});
  }
}

void GpuBackend::upload(const void* host, size_t bytes, Tensor to, size_t offset) {
  CHECK(offset + bytes <= to.bytes, offset, bytes, to.bytes);
  send(host, bytes, to, offset);
}

void GpuBackend::download(Tensor from, size_t bytes, void* host, size_t offset) {
  CHECK(offset + bytes <= from.bytes, offset, bytes, from.bytes);
  fetch(at<std::byte>(from, offset), bytes, host);
}

void GpuBackend::copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) {
  CHECK(from_offset + bytes <= from.bytes && to_offset + bytes <= to.bytes, bytes);
  forget_angles(to);
  list_->add(gpu::Copy{at<uint8_t>(from, from_offset), at<uint8_t>(to, to_offset), int64_t(bytes)},
             blocks_of(bytes, gpu::kCopyBytes));
}

void GpuBackend::fill(float value, size_t count, Tensor to, size_t offset) {
  CHECK(offset % sizeof(float) == 0 && offset + count * sizeof(float) <= to.bytes, offset, count);
  forget_angles(to);
  fill_words(std::bit_cast<uint32_t>(value), count, at<std::byte>(to, offset));
}

void GpuBackend::fill_words(uint32_t word, int64_t count, void* to) {
  list_->add(gpu::Fill{static_cast<uint32_t*>(to), count, word}, blocks_of(count, gpu::kFillWords));
}

// Kernels' shared memory and lanes have room for so much and no more.
void GpuBackend::check_limits(const ModelSpec& spec) const {
  const auto check = [this](const char* what, int64_t value, int64_t most) {
    if (value > most)
      throw Fault(FaultKind::input,
                  options_.name + " takes models of at most " + std::to_string(most) + " " + what +
                      "; this one has " + std::to_string(value),
                  Fix{"take the device cpu", Setting::device});
  };
  for (const LayerSpec& layer : spec.layers)
    check("values in a head", layer.head_dim, gpu::kAttentionHeadMost);
  check("experts", spec.experts, gpu::kRouteExpertsMost);
  check("experts for a token", spec.experts_used, gpu::kRouteUsedMost);
}

void GpuBackend::wait() {
  drain();
}

void GpuBackend::record(GpuEvent event) {
  list_->run();
  driver_->record(event, stream_);
}

void GpuBackend::reserve(Tensor& scratch, size_t bytes) {
  if (scratch.bytes < bytes) scratch = allocate(bytes);
}

void GpuBackend::reserve(const Limits& limits) {
  check_limits(*limits.spec);
  keys_ = std::max(keys_, limits.keys);
  const size_t row = limits.spec->hidden * sizeof(float);
  reserve(wire_, limits.rows * row);
  if (limits.head)
    reserve_head(limits);
  else
    reserve_stage(limits);
}

void GpuBackend::unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) {
  const size_t bytes = rows * row_bytes(type, n);
  reserve(wire_, bytes);
  send(wire, bytes, wire_);
  list_->add(gpu::Unpack{at<uint8_t>(wire_), f32(x), rows * n, hop_type(type)},
             blocks_of(rows * n, gpu::kUnpackValues));
}

void GpuBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) {
  const size_t bytes = rows * row_bytes(type, n);
  reserve(wire_, bytes);
  list_->add(gpu::Pack{f32(x), at<uint8_t>(wire_), rows * n, hop_type(type)},
             blocks_of(rows * n, gpu::kPackValues));
  fetch(wire_.data, bytes, wire);
}

// Through wire_, so that the operands of a pass are the same wherever its rows come from.
void GpuBackend::unpack(Tensor wire, DType type, int64_t rows, int64_t n, Tensor x) {
  const size_t bytes = rows * row_bytes(type, n);
  CHECK(bytes <= wire.bytes, bytes, wire.bytes);
  reserve(wire_, bytes);
  list_->run();
  driver_->copy(wire.data, wire_.data, bytes, stream_);
  list_->add(gpu::Unpack{at<uint8_t>(wire_), f32(x), rows * n, hop_type(type)},
             blocks_of(rows * n, gpu::kUnpackValues));
}

void GpuBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, Tensor wire) {
  const size_t bytes = rows * row_bytes(type, n);
  CHECK(bytes <= wire.bytes, bytes, wire.bytes);
  reserve(wire_, bytes);
  list_->add(gpu::Pack{f32(x), at<uint8_t>(wire_), rows * n, hop_type(type)},
             blocks_of(rows * n, gpu::kPackValues));
  list_->run();
  driver_->copy(wire_.data, wire.data, bytes, stream_);
}

Tensor GpuBackend::load_vector(std::span<const float> values) {
  const Tensor tensor = allocate(values.size_bytes());
  upload(values.data(), values.size_bytes(), tensor, 0);
  return tensor;
}

}  // namespace potluck
