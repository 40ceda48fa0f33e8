// Events are made when they are first needed, and used again.
#include "tests/gpu_check/timed_driver.h"

namespace potluck {

TimedDriver::TimedDriver(std::shared_ptr<GpuDriver> below) : ForwardingDriver(std::move(below)) {}

TimedDriver::~TimedDriver() {
  for (const Running& each : running_) {
    free_event(each.begin);
    free_event(each.end);
  }
  for (const GpuEvent& event : events_) free_event(event);
}

GpuEvent TimedDriver::next_event() {
  if (events_.empty()) return make_event();
  const GpuEvent event = events_.back();
  events_.pop_back();
  return event;
}

void TimedDriver::launch(const GpuLaunch& launch, GpuStream stream) {
  const Running running{launch.kernel, next_event(), next_event()};
  running_.push_back(running);
  record(running.begin, stream);
  ForwardingDriver::launch(launch, stream);
  record(running.end, stream);
}

void TimedDriver::wait(GpuStream stream) {
  ForwardingDriver::wait(stream);
  for (const Running& each : running_) {
    KernelTime& time = times_[static_cast<size_t>(each.kernel)];
    time.seconds += milliseconds(each.begin, each.end) * 1e-3;
    ++time.launches;
    events_.insert(events_.end(), {each.begin, each.end});
  }
  running_.clear();
}

}  // namespace potluck
