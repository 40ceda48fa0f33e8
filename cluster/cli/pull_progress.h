// How far a download is, on stderr: one line that changes on a terminal, a line now and then
// elsewhere.
#pragma once

#include <cstdint>
#include <string>

#include "topology/base/clock.h"
#include "topology/hub/fetch.h"

namespace potluck {

class PullProgress final {
 public:
  explicit PullProgress(bool terminal);
  ~PullProgress() { end(); }
  PullProgress(const PullProgress&) = delete;
  PullProgress& operator=(const PullProgress&) = delete;

  // Ends the work on an interrupt (interrupt.h), and tells this object how far it is, which
  // outlives the watch.
  FetchWatch watch();

  void expect(uint64_t bytes);  // so many more are to come
  void arrive(uint64_t bytes);
  void note(const std::string& line);  // a line of its own
  void end();                          // the changing line is removed

  // "16.8 GB in 150 s, 112 MB/s"
  std::string summary() const;
  // "3.2 GB of 16.8 GB, 112 MB/s, 2 min left"
  std::string state() const;
  uint64_t came() const { return came_; }
  uint64_t to_come() const { return to_come_; }

 private:
  void show();

  bool terminal_;
  bool shown_ = false;
  uint64_t came_ = 0, to_come_ = 0;
  Time begun_, last_;
};

}  // namespace potluck
