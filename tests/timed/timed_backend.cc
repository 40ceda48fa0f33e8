// Time passes where a block attends, and where the head looks at the vocabulary; all else is free.
#include "tests/timed/timed_backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

// Undecided, so that no canvas settles before its last step; no id that ends an answer.
constexpr RowCandidate kUndecided{.argmax = 7, .sample = 8, .entropy = 1.0f};

std::byte* at(Tensor tensor, size_t offset, size_t bytes) {
  CHECK(offset + bytes <= tensor.bytes, offset, bytes, tensor.bytes);
  return static_cast<std::byte*>(tensor.data) + offset;
}

size_t wire_bytes(DType type, int64_t rows, int64_t n) {
  return rows * row_bytes(type, n);
}

}  // namespace

TimedSpeeds parse_speeds(const std::string& text) {
  TimedSpeeds speeds;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equals = part.find('=');
    const std::string name = part.substr(0, equals);
    char* end = nullptr;
    const char* digits = equals == std::string::npos ? "" : part.c_str() + equals + 1;
    const double value = std::strtod(digits, &end);
    double* field = name == "sliding"   ? &speeds.sliding_layer_ms
                    : name == "full"    ? &speeds.full_layer_ms
                    : name == "head"    ? &speeds.head_ms
                    : name == "message" ? &speeds.message_ms
                                        : nullptr;
    if (*digits == 0 || *end != 0 || value < 0 || (!field && name != "bytes"))
      throw Fault(FaultKind::input, "a timed device has \"" + part + "\"",
                  Fix{"write sliding=2.5,full=3,head=9,message=0.2 in milliseconds, or bytes=N"});
    if (field)
      *field = value;
    else
      speeds.bytes = std::strtoull(digits, nullptr, 10);
  }
  return speeds;
}

TimedBackend::~TimedBackend() {
  for (void* memory : memory_) std::free(memory);
}

DeviceInfo TimedBackend::info() const {
  return {"a timed device", 1, speeds_.bytes, speeds_.bytes};
}

Tensor TimedBackend::allocate(size_t bytes) {
  // Pages that nobody touches take no memory.
  void* memory = std::calloc(1, std::max<size_t>(bytes, 1));
  if (!memory) throw Fault(FaultKind::memory, "no memory for a timed device");
  memory_.push_back(memory);
  return {memory, bytes};
}

void TimedBackend::upload(const void* host, size_t bytes, Tensor to, size_t offset) {
  std::memcpy(at(to, offset, bytes), host, bytes);
}

void TimedBackend::download(Tensor from, size_t bytes, void* host, size_t offset) {
  std::memcpy(host, at(from, offset, bytes), bytes);
}

void TimedBackend::copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset,
                        size_t bytes) {
  std::memcpy(at(to, to_offset, bytes), at(from, from_offset, bytes), bytes);
}

void TimedBackend::fill(float value, size_t count, Tensor to, size_t offset) {
  float* values = reinterpret_cast<float*>(at(to, offset, count * sizeof(float)));
  std::fill_n(values, count, value);
}

void TimedBackend::wait() {
  std::this_thread::sleep_until(busy_until_);
}

void TimedBackend::spend(double ms) {
  busy_until_ = std::max(busy_until_, now()) + from_seconds(ms / 1e3);
}

Tensor TimedBackend::load_vector(std::span<const float> values) {
  const Tensor tensor = allocate(values.size_bytes());
  upload(values.data(), values.size_bytes(), tensor, 0);
  return tensor;
}

Matrix TimedBackend::load_matrix(std::shared_ptr<const std::byte>, DType type, int64_t count,
                                 int64_t rows, int64_t columns, Care care) {
  return {matrices_++, type, count, rows, columns, care};
}

void TimedBackend::reserve(const Limits& limits) {
  canvas_ = limits.spec->canvas;
}

void TimedBackend::unpack(const void*, DType, int64_t, int64_t, Tensor) {}
void TimedBackend::unpack(Tensor, DType, int64_t, int64_t, Tensor) {}

void TimedBackend::pack(Tensor, DType type, int64_t rows, int64_t n, void* wire) {
  std::memset(wire, 0, wire_bytes(type, rows, n));
  spend(speeds_.message_ms);
}

void TimedBackend::pack(Tensor, DType type, int64_t rows, int64_t n, Tensor wire) {
  const size_t bytes = wire_bytes(type, rows, n);
  std::memset(at(wire, 0, bytes), 0, bytes);
  spend(speeds_.message_ms);
}

void TimedBackend::rms_norm(Tensor, Tensor, float, int, int64_t, Tensor) {}
void TimedBackend::matmul(Tensor, const Matrix&, int, Tensor) {}

void TimedBackend::qkv(const Qkv& op) {
  // The last layer of an encode has no queries, and takes next to no time.
  if (op.q.empty()) return;
  spend((op.layer.window ? speeds_.sliding_layer_ms : speeds_.full_layer_ms) * share(op.rows));
}

void TimedBackend::attention(const Attention&) {}
void TimedBackend::gelu_mul(Tensor, Tensor, int, int64_t, Tensor) {}
void TimedBackend::route(const Route&) {}
void TimedBackend::experts(const Experts&) {}
void TimedBackend::add_norm(const AddNorm&) {}
void TimedBackend::embed(Tensor, const Matrix&, float, int, Tensor) {}
void TimedBackend::canvas_input(const CanvasInput&) {}

void TimedBackend::vocab_attention(const VocabAttention& op) {
  spend(speeds_.head_ms * share(op.rows));
  for (int row = 0; row < op.rows; ++row)
    upload(&kUndecided, sizeof kUndecided, op.candidates, row * sizeof kUndecided);
}

void TimedBackend::soft_from_logits(const float*, const Matrix&, float, int, Tensor) {
  throw Fault(FaultKind::input, "a timed device computes nothing",
              Fix{"replay a trace on a real one"});
}

}  // namespace potluck
