// A stream is a list of what to do. A launch keeps its operands, a copy its addresses: what is
// written there too early or read too early is found out by wrong results.
#include "tests/emulator/emulated_driver.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {

using Clock = std::chrono::steady_clock;

namespace {

thread_local std::string current_card;

// A stream holds work, and gates: one lets nothing by until it opens.
struct Entry {
  std::function<void()> work;
  std::function<bool()> gate;
};

}  // namespace

struct EmulatedDriver::Stream {
  std::deque<Entry> entries;
  std::vector<Work> captured;
  bool captures = false;
};

// Nobody waits for an event whose stream has not come to it: the stream runs first.
struct EmulatedDriver::Event {
  Stream* stream = nullptr;
  bool passed = false;
  Clock::time_point when;
};

EmulatedDriver::EmulatedDriver(emulator::Vendor vendor, std::shared_ptr<Books> books)
    : vendor_(vendor), books_(std::move(books)) {}

EmulatedDriver::~EmulatedDriver() = default;

GpuFacts EmulatedDriver::facts() {
  GpuFacts facts;
  facts.name = std::string("emulated ") + emulator::name_of(vendor_) + " card";
  facts.architecture = std::string("emulated_") + emulator::name_of(vendor_);
  facts.driver = "emulator";
  facts.address = books_->address;
  facts.units = 2;
  facts.lanes = emulator::lanes_of_a_warp(vendor_);
  facts.bytes_total = books_->bytes_total;
  facts.bytes_free = books_->bytes_total - books_->bytes_used;
  facts.cache_bytes = 4 << 20;
  facts.shared_bytes = 48 << 10;
  return facts;
}

void* EmulatedDriver::allocate(size_t bytes) {
  if (bytes > books_->bytes_total - books_->bytes_used)
    throw Fault(FaultKind::memory, "the emulated card has no room for " + std::to_string(bytes) +
                                       " bytes; " + std::to_string(facts().bytes_free) +
                                       " are free");
  constexpr size_t kAligned = 256;  // as a card's memory is
  void* memory = nullptr;
  if (posix_memalign(&memory, kAligned, bytes)) throw std::bad_alloc();
  std::memset(memory, 0xee, bytes);
  memory_[memory] = bytes;
  books_->bytes_used += bytes;
  ++books_->blocks;
  return memory;
}

void EmulatedDriver::free(void* memory) noexcept {
  const auto found = memory_.find(memory);
  CHECK(found != memory_.end());
  books_->bytes_used -= found->second;
  --books_->blocks;
  memory_.erase(found);
  std::free(memory);
}

void* EmulatedDriver::allocate_host(size_t bytes) {
  ++books_->blocks;
  void* memory = std::malloc(bytes);
  std::memset(memory, 0xee, bytes);
  return memory;
}

void EmulatedDriver::free_host(void* memory) noexcept {
  --books_->blocks;
  std::free(memory);
}

std::string EmulatedDriver::own_address() {
  return "emulated card of process " + std::to_string(getpid());
}

GpuStream EmulatedDriver::make_stream() {
  current_card = books_->address;
  ++books_->handles;
  return {new Stream};
}

void EmulatedDriver::free_stream(GpuStream stream) noexcept {
  --books_->handles;
  delete static_cast<Stream*>(stream.handle);
}

void EmulatedDriver::enqueue(GpuStream stream, Work work) {
  auto* s = static_cast<Stream*>(stream.handle);
  if (s->captures)
    s->captured.push_back(std::move(work));
  else
    s->entries.push_back({std::move(work), {}});
}

// As far as the first gate that is closed; true if there is none.
bool EmulatedDriver::run(Stream& stream) {
  CHECK(!stream.captures);
  while (!stream.entries.empty()) {
    if (const auto& gate = stream.entries.front().gate; gate && !gate()) return false;
    const Entry entry = std::move(stream.entries.front());
    stream.entries.pop_front();
    if (entry.work) entry.work();
  }
  return true;
}

void EmulatedDriver::finish(Stream& stream) {
  while (!run(stream)) std::this_thread::sleep_for(std::chrono::microseconds(20));
}

bool EmulatedDriver::is_idle(GpuStream stream) {
  return run(*static_cast<Stream*>(stream.handle));
}

void EmulatedDriver::copy_in(const void* host, void* to, size_t bytes, GpuStream stream) {
  enqueue(stream, [=] { std::memcpy(to, host, bytes); });
}

void EmulatedDriver::copy_out(const void* from, void* host, size_t bytes, GpuStream stream) {
  enqueue(stream, [=] { std::memcpy(host, from, bytes); });
}

void EmulatedDriver::copy(const void* from, void* to, size_t bytes, GpuStream stream) {
  enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}

void EmulatedDriver::fill(uint32_t word, void* to, size_t count, GpuStream stream) {
  enqueue(stream, [=] { std::fill_n(static_cast<uint32_t*>(to), count, word); });
}

GpuEvent EmulatedDriver::make_event() {
  ++books_->handles;
  return {new Event};
}

void EmulatedDriver::free_event(GpuEvent event) noexcept {
  --books_->handles;
  delete static_cast<Event*>(event.handle);
}

void EmulatedDriver::record(GpuEvent event, GpuStream stream) {
  auto* e = static_cast<Event*>(event.handle);
  e->stream = static_cast<Stream*>(stream.handle);
  e->passed = false;
  enqueue(stream, [e] {
    e->passed = true;
    e->when = Clock::now();
  });
}

void EmulatedDriver::wait(GpuStream stream) {
  finish(*static_cast<Stream*>(stream.handle));
}

void EmulatedDriver::wait(GpuEvent event) {
  auto* e = static_cast<Event*>(event.handle);
  if (!e->passed) finish(*e->stream);
}

void EmulatedDriver::wait_for(GpuEvent event, GpuStream stream) {
  auto* e = static_cast<Event*>(event.handle);
  enqueue(stream, [this, e] {
    if (!e->passed) finish(*e->stream);
    CHECK(e->passed);
  });
}

float EmulatedDriver::milliseconds(GpuEvent from, GpuEvent to) {
  const auto* a = static_cast<Event*>(from.handle);
  const auto* b = static_cast<Event*>(to.handle);
  CHECK(a->passed && b->passed);
  return std::chrono::duration<float, std::milli>(b->when - a->when).count();
}

// The emulator has its kernels already.
void EmulatedDriver::load(std::span<const std::byte>) {}

void EmulatedDriver::launch(const GpuLaunch& launch, GpuStream stream) {
  const auto* operands = static_cast<const std::byte*>(launch.operands);
  const size_t bytes = gpu::kKernels[static_cast<size_t>(launch.kernel)].operand_bytes;
  const bool captured = static_cast<Stream*>(stream.handle)->captures;
  if (!captured) ++books_->launches;
  enqueue(stream, [this, kernel = launch.kernel, x = launch.grid_x, y = launch.grid_y,
                   kept = std::vector(operands, operands + bytes)] {
    emulator::run(vendor_, kernel, {x, y}, kept.data());
  });
}

void EmulatedDriver::begin_capture(GpuStream stream) {
  static_cast<Stream*>(stream.handle)->captures = true;
}

GpuGraph EmulatedDriver::end_capture(GpuStream stream) {
  auto* s = static_cast<Stream*>(stream.handle);
  CHECK(s->captures);
  s->captures = false;
  ++books_->handles;
  return {new std::vector<Work>(std::exchange(s->captured, {}))};
}

void EmulatedDriver::launch(GpuGraph graph, GpuStream stream) {
  ++books_->graph_launches;
  const auto* work = static_cast<std::vector<Work>*>(graph.handle);
  for (const Work& each : *work) enqueue(stream, each);
}

void EmulatedDriver::free_graph(GpuGraph graph) noexcept {
  --books_->handles;
  delete static_cast<std::vector<Work>*>(graph.handle);
}

void EmulatedDriver::close_gate(void* stream, std::function<bool()> is_open) {
  static_cast<Stream*>(stream)->entries.push_back({{}, std::move(is_open)});
}

}  // namespace potluck

void potluck_emulated_gate(void* stream, int (*is_open)(void*), void* what) {
  potluck::EmulatedDriver::close_gate(stream, [is_open, what] { return is_open(what) == 1; });
}

const char* potluck_emulated_card() {
  return potluck::current_card.c_str();
}
