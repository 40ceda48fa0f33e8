// Copies go through pinned memory, as a driver wants them to.
#include "tests/gpu_check/raw_card.h"

#include <algorithm>
#include <utility>

namespace potluck {

RawCard::RawCard(std::shared_ptr<GpuDriver> driver)
    : driver_(std::move(driver)), stream_(driver_->make_stream()) {}

RawCard::~RawCard() {
  driver_->free_stream(stream_);
  for (void* memory : memory_) driver_->free(memory);
}

void* RawCard::make_bytes(size_t bytes) {
  memory_.reserve(memory_.size() + 1);
  memory_.push_back(driver_->allocate(std::max<size_t>(bytes, 4)));
  return memory_.back();
}

void RawCard::send(const void* host, size_t bytes, void* to) {
  void* pinned = driver_->allocate_host(bytes);
  std::memcpy(pinned, host, bytes);
  driver_->copy_in(pinned, to, bytes, stream_);
  driver_->wait(stream_);
  driver_->free_host(pinned);
}

void RawCard::fetch(const void* from, size_t bytes, void* host) {
  void* pinned = driver_->allocate_host(bytes);
  driver_->copy_out(from, pinned, bytes, stream_);
  driver_->wait(stream_);
  std::memcpy(host, pinned, bytes);
  driver_->free_host(pinned);
}

double RawCard::seconds_of(int runs, const std::function<void()>& enqueue) {
  const GpuEvent begin = driver_->make_event(), end = driver_->make_event();
  double least = 1e30;
  for (int i = 0; i < runs; ++i) {
    driver_->record(begin, stream_);
    enqueue();
    driver_->record(end, stream_);
    driver_->wait(stream_);
    least = std::min<double>(least, driver_->milliseconds(begin, end) * 1e-3);
  }
  driver_->free_event(begin);
  driver_->free_event(end);
  return least;
}

}  // namespace potluck
