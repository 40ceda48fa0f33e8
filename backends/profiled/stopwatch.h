// Stopwatch: how long a Backend takes for what is enqueued between marks.
#pragma once

#include <vector>

#include "backends/backend.h"
#include "topology/base/clock.h"

namespace potluck {

class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  // A mark comes to pass when all that was enqueued before it has run.
  virtual void mark() = 0;
  // Waits for the last mark, forgets all, and returns the seconds from each to the next.
  virtual std::vector<double> take() = 0;
};

// Waits at each mark and looks at the host's clock: for a Backend that computes in its calls.
class HostStopwatch final : public Stopwatch {
 public:
  // The backend must outlive the stopwatch.
  explicit HostStopwatch(Backend& backend) : backend_(backend) {}
  void mark() override;
  std::vector<double> take() override;

 private:
  Backend& backend_;
  std::vector<Time> marks_;
};

}  // namespace potluck
