// Each call makes the card the current one of its thread first, and turns the driver's errors into
// faults.
#include "backends/gpu/card_driver.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

// Both vendors number these alike.
constexpr unsigned kNoFlags = 0;
constexpr unsigned kDoesNotMeetNullStream = 1;
constexpr int kCaptureOfThisThread = 1;  // what other threads enqueue or allocate does not break it

size_t at_least_one(size_t bytes) {
  return std::max<size_t>(bytes, 1);
}

using Clock = std::chrono::steady_clock;

// The one thing that all drivers of a card in this process share, as they share its context.
std::shared_ptr<std::atomic<bool>> whether_it_hangs(const std::string& device) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<std::atomic<bool>>> all;
  const std::lock_guard lock(mutex);
  std::shared_ptr<std::atomic<bool>>& one = all[device];
  if (!one) one = std::make_shared<std::atomic<bool>>(false);
  return one;
}

// Between two questions to a card. A pause is a 64th of the time so far, so that a wait is not much
// longer than what it waits for; short ones would not be kept.
void pause(Clock::duration waited) {
  constexpr std::chrono::microseconds kShortest{50};
  constexpr std::chrono::milliseconds kLongest{10};
  const Clock::duration pause = std::min<Clock::duration>(waited / 64, kLongest);
  if (pause < kShortest)
    std::this_thread::yield();
  else
    std::this_thread::sleep_for(pause);
}

}  // namespace

template <typename... Parameters, typename... Given>
void CardDriver::run(const DriverCall<Parameters...>& what, Given... given) {
  try {
    check_hangs();
    vendor_->enter(card_);
    call(*vendor_, card_, what, given...);
  } catch (...) {
    abandon_capture();
    throw;
  }
}

// A driver mostly answers a free with the error of something before it.
template <typename Pointer>
void CardDriver::run_free(const DriverCall<Pointer>& what, Pointer handle) noexcept {
  if (*hangs_) return;
  try {
    vendor_->enter(card_);
  } catch (const Fault&) {  // the thread may well be there already
  }
  what.function(handle);
}

CardDriver::CardDriver(std::shared_ptr<Vendor> vendor, int card, std::chrono::nanoseconds patience)
    : vendor_(std::move(vendor)),
      card_(card),
      patience_(patience),
      hangs_(whether_it_hangs(vendor_->kind() + ":" + std::to_string(card))) {
  check_hangs();
  vendor_->open(card_);
}

CardDriver::~CardDriver() {
  abandon_capture();
  if (module_) run_free(calls().unload, module_);
  if (!*hangs_) vendor_->close(card_);
}

void CardDriver::check_hangs() const {
  if (*hangs_)
    throw Fault(FaultKind::world,
                card_text(*vendor_, card_) + " hangs: it did not end its work in " +
                    std::to_string(patience_.count() / 1'000'000'000) + " s",
                Fix{"restart potluck on this machine, and the machine if that does not help; the "
                    "kernel's log may say more (dmesg)"});
}

int CardDriver::attribute(int which) {
  int value = 0;
  run(calls().attribute, &value, which, card_);
  return value;
}

GpuFacts CardDriver::facts() {
  const AttributeNumbers& numbers = vendor_->attributes();
  char name[256] = {}, address[256] = {};
  const int room = sizeof(name) - 1;
  size_t free = 0, total = 0;
  run(calls().card_name, name, room, card_);
  run(calls().address, address, room, card_);
  run(calls().memory, &free, &total);
  GpuFacts facts;
  facts.name = name;
  facts.architecture = vendor_->architecture(card_);
  facts.driver = vendor_->version();
  facts.address = address;
  facts.units = attribute(numbers.units);
  facts.lanes = attribute(numbers.lanes);
  facts.bytes_total = total;
  facts.bytes_free = free;
  facts.cache_bytes = attribute(numbers.cache_bytes);
  facts.shared_bytes = attribute(numbers.shared_bytes);
  facts.has_watchdog = attribute(numbers.watchdog) != 0;
  return facts;
}

void* CardDriver::allocate(size_t bytes) {
  void* memory = nullptr;
  try {
    run(calls().allocate, &memory, at_least_one(bytes));
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::memory) throw;
    size_t free = 0, total = 0;
    calls().memory.function(&free, &total);
    throw Fault(FaultKind::memory,
                fault.text() + " where " + bytes_text(bytes) + " were asked for and " +
                    bytes_text(free) + " of " + bytes_text(total) + " are free",
                fault.fix());
  }
  return memory;
}

void CardDriver::free(void* memory) noexcept {
  run_free(calls().free, memory);
}

void* CardDriver::allocate_host(size_t bytes) {
  void* memory = nullptr;
  run(calls().allocate_host, &memory, at_least_one(bytes), kNoFlags);
  return memory;
}

void CardDriver::free_host(void* memory) noexcept {
  run_free(calls().free_host, memory);
}

GpuStream CardDriver::make_stream() {
  GpuStream stream;
  run(calls().make_stream, &stream.handle, kDoesNotMeetNullStream);
  return stream;
}

void CardDriver::free_stream(GpuStream stream) noexcept {
  if (capturing_ == stream.handle) abandon_capture();
  run_free(calls().free_stream, stream.handle);
}

void CardDriver::copy_in(const void* host, void* to, size_t bytes, GpuStream stream) {
  run(calls().copy_in, to, host, bytes, stream.handle);
}

void CardDriver::copy_out(const void* from, void* host, size_t bytes, GpuStream stream) {
  run(calls().copy_out, host, from, bytes, stream.handle);
}

void CardDriver::copy(const void* from, void* to, size_t bytes, GpuStream stream) {
  run(calls().copy, to, from, bytes, stream.handle);
}

void CardDriver::fill(uint32_t word, void* to, size_t count, GpuStream stream) {
  run(calls().fill, to, word, count, stream.handle);
}

GpuEvent CardDriver::make_event() {
  GpuEvent event;
  run(calls().make_event, &event.handle, kNoFlags);
  return event;
}

void CardDriver::free_event(GpuEvent event) noexcept {
  run_free(calls().free_event, event.handle);
}

void CardDriver::record(GpuEvent event, GpuStream stream) {
  run(calls().record, event.handle, stream.handle);
}

void CardDriver::wait(GpuStream stream) {
  wait(calls().ask_stream, stream.handle);
}

void CardDriver::wait(GpuEvent event) {
  wait(calls().ask_event, event.handle);
}

bool CardDriver::is_idle(GpuStream stream) {
  check_hangs();
  vendor_->enter(card_);
  return has_ended(calls().ask_stream, stream.handle);
}

bool CardDriver::has_ended(const DriverCall<void*>& ask, void* handle) const {
  const int error = ask.function(handle);
  if (error != 0 && error != kNotReady) throw_error(*vendor_, card_, ask.name, error);
  return error == 0;
}

// The driver's own waits have no end where a card hangs.
void CardDriver::wait(const DriverCall<void*>& ask, void* handle) {
  check_hangs();
  vendor_->enter(card_);
  const Clock::time_point start = Clock::now();
  while (!has_ended(ask, handle)) {
    const Clock::duration waited = Clock::now() - start;
    if (waited > patience_) *hangs_ = true;
    check_hangs();
    pause(waited);
  }
}

void CardDriver::wait_for(GpuEvent event, GpuStream stream) {
  run(calls().wait_for, stream.handle, event.handle, kNoFlags);
}

float CardDriver::milliseconds(GpuEvent from, GpuEvent to) {
  float milliseconds = 0;
  run(calls().elapsed, &milliseconds, from.handle, to.handle);
  return milliseconds;
}

void CardDriver::load(std::span<const std::byte> code) {
  CHECK(!module_, card_);
  void* module = nullptr;
  run(calls().load, &module, static_cast<const void*>(code.data()));
  std::vector<void*> kernels;
  try {
    for (const gpu::KernelFacts& kernel : gpu::kKernels)
      run(calls().find_kernel, &kernels.emplace_back(), module, kernel.name);
  } catch (...) {
    run_free(calls().unload, module);
    throw;
  }
  module_ = module;
  kernels_ = std::move(kernels);
}

void CardDriver::launch(const GpuLaunch& launch, GpuStream stream) {
  const auto which = static_cast<size_t>(launch.kernel);
  CHECK(which < kernels_.size(), which);
  const unsigned grid_x = launch.grid_x, grid_y = launch.grid_y;
  const unsigned threads = gpu::kKernels[which].threads;
  void* parameters[] = {const_cast<void*>(launch.operands)};
  run(calls().launch, kernels_[which], grid_x, grid_y, 1u, threads, 1u, 1u, 0u, stream.handle,
      parameters, nullptr);
}

void CardDriver::begin_capture(GpuStream stream) {
  run(calls().begin_capture, stream.handle, kCaptureOfThisThread);
  capturing_ = stream.handle;
}

GpuGraph CardDriver::end_capture(GpuStream stream) {
  void* kept = nullptr;
  run(calls().end_capture, stream.handle, &kept);
  capturing_ = nullptr;
  GpuGraph graph;
  try {
    run(calls().make_run, &graph.handle, kept, 0ull);
  } catch (...) {
    run_free(calls().free_graph, kept);
    throw;
  }
  run_free(calls().free_graph, kept);
  return graph;
}

void CardDriver::launch(GpuGraph graph, GpuStream stream) {
  run(calls().run_graph, graph.handle, stream.handle);
}

void CardDriver::free_graph(GpuGraph graph) noexcept {
  run_free(calls().free_run, graph.handle);
}

void CardDriver::abandon_capture() noexcept {
  void* stream = std::exchange(capturing_, nullptr);
  if (!stream || *hangs_) return;
  void* kept = nullptr;
  calls().end_capture.function(stream, &kept);
  if (kept) calls().free_graph.function(kept);
}

}  // namespace potluck
