// A port is a driver of its own, which the threads of transport/nccl use in turn.
#include "shard/card_port.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <mutex>
#include <utility>

#include "backends/gpu/open_card.h"
#include "backends/gpu/pinned_arena.h"
#include "topology/plan/plan.h"

namespace potluck {
namespace {

constexpr size_t kPiece = 4 << 20;  // of a longer copy

// The same for all that runs on a machine, in containers too, until it starts anew.
std::string this_machine() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

class GpuCardPort final : public CardPort {
 public:
  GpuCardPort(std::unique_ptr<GpuDriver> driver, std::string vendor)
      : driver_(std::move(driver)),
        vendor_(std::move(vendor)),
        address_(driver_->facts().address + " of machine " + this_machine()),
        stream_(driver_->make_stream()) {}
  ~GpuCardPort() override { driver_->free_stream(stream_); }

  std::string vendor() const override { return vendor_; }
  std::string address() const override { return address_; }

  void* allocate(size_t bytes) override {
    const std::lock_guard lock(mutex_);
    return driver_->allocate(bytes);
  }
  void free(void* memory) noexcept override {
    const std::lock_guard lock(mutex_);
    driver_->free(memory);
  }

  void copy_out(const void* from, void* host, size_t bytes) override {
    const std::lock_guard lock(mutex_);
    for (size_t done = 0; done < bytes; done += kPiece) {
      const size_t piece = std::min(kPiece, bytes - done);
      pinned_.reset();
      std::byte* pinned = pinned_.take(piece);
      driver_->copy_out(static_cast<const std::byte*>(from) + done, pinned, piece, stream_);
      driver_->wait(stream_);
      std::memcpy(static_cast<std::byte*>(host) + done, pinned, piece);
    }
  }

  void* make_stream() override {
    const std::lock_guard lock(mutex_);
    return driver_->make_stream().handle;
  }
  void free_stream(void* stream) noexcept override {
    const std::lock_guard lock(mutex_);
    driver_->free_stream({stream});
  }
  bool is_idle(void* stream) override {
    const std::lock_guard lock(mutex_);
    return driver_->is_idle({stream});
  }

 private:
  std::mutex mutex_;  // over the driver and what is made of it
  const std::unique_ptr<GpuDriver> driver_;
  const std::string vendor_, address_;
  const GpuStream stream_;
  PinnedArena pinned_{*driver_};
};

}  // namespace

std::shared_ptr<CardPort> make_card_port(std::unique_ptr<GpuDriver> driver, std::string vendor) {
  return std::make_shared<GpuCardPort>(std::move(driver), std::move(vendor));
}

std::shared_ptr<CardPort> open_card_port(const std::string& device) {
  return make_card_port(open_card(device), card_vendor(device));
}

}  // namespace potluck
