// Through these books a test sees the stand-in for NCCL's library, and tells it to do wrong.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace potluck {

// One process has one. Numbers count all transfers from 1; 0: never.
struct StandInBooks {
  std::atomic<int> version = 22105;
  std::atomic<int> failing_send = 0;   // returns an error
  std::atomic<int> hanging_send = 0;   // is never done
  std::atomic<int> breaking_send = 0;  // ends in an error that its communicator tells
  std::atomic<bool> refuses_to_make = false;

  std::atomic<int> sends = 0;          // that were asked for
  std::atomic<int> done = 0;           // transfers that have come
  std::atomic<int> communicators = 0;  // that were made and not aborted
  std::mutex mutex;
  std::vector<std::string> misuses;  // under mutex
};

}  // namespace potluck

// The library exports this beside NCCL's functions.
extern "C" potluck::StandInBooks* nccl_stand_in_books();
