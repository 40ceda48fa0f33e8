// CardStopwatch: marks as events of a card's stream, which cost the host no wait. What a card is
// given too late to be busy is counted as well: the gaps between launches.
#pragma once

#include <vector>

#include "backends/gpu/gpu_backend.h"
#include "backends/profiled/stopwatch.h"

namespace potluck {

class CardStopwatch final : public Stopwatch {
 public:
  // The backend must outlive the stopwatch.
  explicit CardStopwatch(GpuBackend& backend) : backend_(backend) {}
  ~CardStopwatch() override;
  CardStopwatch(const CardStopwatch&) = delete;
  CardStopwatch& operator=(const CardStopwatch&) = delete;

  void mark() override;
  std::vector<double> take() override;

 private:
  GpuBackend& backend_;
  std::vector<GpuEvent> events_;
  size_t marks_ = 0;  // so many events are set
};

}  // namespace potluck
