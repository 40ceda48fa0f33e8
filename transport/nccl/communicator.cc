// The thread polls, since neither NCCL nor a card wakes anybody, and naps ever longer while nothing
// happens.
#include "transport/nccl/communicator.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "topology/base/fault.h"
#include "transport/quiet_thread.h"

namespace potluck {
namespace {

constexpr std::chrono::microseconds kLeastNap(20), kLongestNap(250);

// Thrown where the thread waits, when the owner lets go.
struct Ending {};

}  // namespace

Communicator::Communicator(CommunicatorSetup setup) : setup_(std::move(setup)) {
  thread_ = start_without_signals([this] { run(); });
}

Communicator::~Communicator() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  posted_.notify_one();
  thread_.join();
}

void Communicator::carry(std::shared_ptr<std::byte> memory, size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(memory), bytes});
  }
  posted_.notify_one();
}

std::string Communicator::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Communicator::fail(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = why;
  }
  setup_.changed();
}

void Communicator::run() {
  Job job;
  try {
    make();
    while (next(job)) {
      transfer(job);
      job = {};
    }
  } catch (const Fault& fault) {
    fail(fault.text());
  } catch (const Ending&) {
  }
  if (handle_) setup_.library->calls().abort.function(handle_);
  if (stream_) setup_.port->free_stream(stream_);
}

void Communicator::make() {
  stream_ = setup_.port->make_stream();
  NcclConfig config;
  const int rank = static_cast<int>(setup_.rank);
  setup_.library->call(setup_.library->calls().make, &handle_, 2, setup_.id, rank, &config);
  wait_while([this] { return is_busy(); }, now() + from_seconds(setup_.make_seconds),
             "the two ranks have not met");
  made_ = true;
  setup_.changed();
}

// Whether NCCL still works on its last call. Throws what has become of it.
bool Communicator::is_busy() {
  int state = kNcclSuccess;
  setup_.library->call(setup_.library->calls().state, handle_, &state);
  setup_.library->check(state, "NCCL");
  return state == kNcclInProgress;
}

void Communicator::transfer(const Job& job) {
  const bool sends = setup_.rank == NcclRank::sender;
  const Time deadline = sends ? Time::max() : now() + from_seconds(setup_.receive_seconds);
  const NcclLibrary& nccl = *setup_.library;
  const int other = sends ? 1 : 0;
  if (sends)
    nccl.call(nccl.calls().send, job.memory.get(), job.bytes, kNcclUint8, other, handle_, stream_);
  else
    nccl.call(nccl.calls().receive, job.memory.get(), job.bytes, kNcclUint8, other, handle_,
              stream_);
  wait_while([this] { return is_busy() || !setup_.port->is_idle(stream_); }, deadline,
             "a payload does not come");
  ++carried_;
  setup_.changed();
}

template <typename Condition>
void Communicator::wait_while(const Condition& holds, Time deadline, const char* what) {
  for (std::chrono::microseconds nap = kLeastNap; holds(); nap = std::min(2 * nap, kLongestNap)) {
    if (ending_) throw Ending();
    if (now() >= deadline) throw Fault(FaultKind::world, what);
    std::this_thread::sleep_for(nap);
  }
}

bool Communicator::next(Job& job) {
  std::unique_lock lock(mutex_);
  posted_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
  if (ending_) return false;
  job = std::move(jobs_.front());
  jobs_.pop_front();
  return true;
}

}  // namespace potluck
