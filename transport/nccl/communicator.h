// Communicator: one direction of a link by NCCL, of two ranks: 0 sends and 1 receives. Each
// direction has one of its own, because what is enqueued on one communicator runs in order, and two
// sides that send first would wait for each other for ever.
//
// A thread makes it and carries one payload after another, whatever the owner computes meanwhile.
// It ends at the first error, and when the owner lets go of it; either way what is under way is
// aborted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "topology/base/clock.h"
#include "transport/nccl/card_port.h"
#include "transport/nccl/nccl_library.h"

namespace potluck {

enum class NcclRank : int { sender = 0, receiver = 1 };

struct CommunicatorSetup {
  std::shared_ptr<const NcclLibrary> library;
  std::shared_ptr<CardPort> port;
  NcclId id;
  NcclRank rank = NcclRank::sender;
  double make_seconds = 0;
  double receive_seconds = 0;  // from carry() on; a sender waits for as long as the receiver likes
  std::function<void()> changed;  // called by its thread when one of the answers below changes
};

class Communicator final {
 public:
  explicit Communicator(CommunicatorSetup setup);
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  // Sends these bytes of the card, or receives so many to there; in the order of the calls. They
  // are kept until they have been carried, or until the communicator has ended.
  void carry(std::shared_ptr<std::byte> memory, size_t bytes);

  bool is_made() const { return made_; }
  uint64_t carried() const { return carried_; }  // payloads, in order
  std::string failure() const;                   // why it has ended; empty: it has not

 private:
  struct Job {
    std::shared_ptr<std::byte> memory;
    size_t bytes = 0;
  };

  void run();
  void make();
  void transfer(const Job& job);
  bool is_busy();
  template <typename Condition>
  void wait_while(const Condition& holds, Time deadline, const char* what);
  bool next(Job& job);
  void fail(const std::string& why);

  const CommunicatorSetup setup_;
  std::atomic<bool> ending_ = false, made_ = false;
  std::atomic<uint64_t> carried_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<Job> jobs_;  // under mutex_
  std::string failure_;   // under mutex_
  // The thread's own.
  void* handle_ = nullptr;
  void* stream_ = nullptr;
  std::thread thread_;  // last: everything is there when it starts
};

}  // namespace potluck
