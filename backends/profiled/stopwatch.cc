// The host's clock as a stopwatch.
#include "backends/profiled/stopwatch.h"

namespace potluck {

void HostStopwatch::mark() {
  backend_.wait();
  marks_.push_back(now());
}

std::vector<double> HostStopwatch::take() {
  std::vector<double> between;
  for (size_t i = 1; i < marks_.size(); ++i) between.push_back(seconds(marks_[i] - marks_[i - 1]));
  marks_.clear();
  return between;
}

}  // namespace potluck
