// Counts what arrives, and says at what rate and how long the rest takes.
#include "cluster/cli/pull_progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cluster/cli/interrupt.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr Duration kEachOnTerminal = std::chrono::milliseconds(200);
constexpr Duration kEachElsewhere = std::chrono::seconds(10);

std::string time_text(double seconds) {
  if (seconds < 100) return std::to_string(std::lround(std::ceil(seconds))) + " s";
  if (seconds < 100 * 60) return std::to_string(std::lround(seconds / 60)) + " min";
  return std::to_string(std::lround(seconds / 3600)) + " h";
}

}  // namespace

PullProgress::PullProgress(bool terminal) : terminal_(terminal), begun_(now()), last_(begun_) {}

FetchWatch PullProgress::watch() {
  return {[] { return interrupt_signal() != 0; }, [this](const std::string& line) { note(line); },
          [this](uint64_t bytes) { expect(bytes); }, [this](uint64_t bytes) { arrive(bytes); }};
}

void PullProgress::expect(uint64_t bytes) {
  to_come_ += bytes;
}

void PullProgress::arrive(uint64_t bytes) {
  came_ += bytes;
  to_come_ -= std::min(to_come_, bytes);
  if (now() - last_ < (terminal_ ? kEachOnTerminal : kEachElsewhere)) return;
  last_ = now();
  show();
}

void PullProgress::note(const std::string& line) {
  end();
  std::fprintf(stderr, "%s\n", one_line(line).c_str());
}

void PullProgress::end() {
  if (shown_) std::fprintf(stderr, "\r\x1b[K");
  shown_ = false;
}

std::string PullProgress::summary() const {
  const double took = seconds(now() - begun_);
  return bytes_text(came_) + " in " + time_text(took) + ", " +
         bytes_text(std::llround(came_ / std::max(took, 1e-3))) + "/s";
}

std::string PullProgress::state() const {
  const double rate = came_ / std::max(seconds(now() - begun_), 1e-3);
  std::string text = bytes_text(came_) + " of " + bytes_text(came_ + to_come_) + ", " +
                     bytes_text(std::llround(rate)) + "/s";
  return rate > 0 && to_come_ ? text + ", " + time_text(to_come_ / rate) + " left" : text;
}

void PullProgress::show() {
  std::fprintf(stderr, terminal_ ? "\r\x1b[K%s" : "%s\n", state().c_str());
  shown_ = terminal_;
}

}  // namespace potluck
