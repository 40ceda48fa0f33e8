// A card's events as a stopwatch; they are made once and set again.
#include "backends/profiled/card_stopwatch.h"

namespace potluck {

CardStopwatch::~CardStopwatch() {
  for (const GpuEvent event : events_) backend_.driver().free_event(event);
}

void CardStopwatch::mark() {
  if (marks_ == events_.size()) events_.push_back(backend_.driver().make_event());
  backend_.record(events_[marks_++]);
}

std::vector<double> CardStopwatch::take() {
  backend_.wait();
  std::vector<double> between;
  for (size_t i = 1; i < marks_; ++i)
    between.push_back(backend_.driver().milliseconds(events_[i - 1], events_[i]) * 1e-3);
  marks_ = 0;
  return between;
}

}  // namespace potluck
