// StubMachine: a machine with the cards of a stub library, whose kernels the emulator runs. A test
// program that is linked with stub_machine.cc opens these cards by open_card().
#pragma once

#include <chrono>
#include <string>

#include "backends/gpu/card_driver.h"
#include "tests/backends/gpu/stub_library.h"

namespace potluck {

class StubMachine final {
 public:
  // library: "cuda_12_2", "hip_6". There is one machine at a time.
  explicit StubMachine(const std::string& library);
  ~StubMachine();
  StubMachine(const StubMachine&) = delete;
  StubMachine& operator=(const StubMachine&) = delete;

  // With clean books and a card that works.
  void start_again();
  StubBooks& books() const { return library_.books(); }
  bool is_cuda() const { return is_cuda_; }
  std::string device(int card = 0) const;
  // How long a card that is opened from now on may take.
  void be_patient(std::chrono::nanoseconds patience) { patience_ = patience; }

  std::unique_ptr<GpuDriver> open(const std::string& device) const;

 private:
  StubLibrary library_;
  bool is_cuda_;
  std::chrono::nanoseconds patience_ = kCardPatience;
};

}  // namespace potluck
