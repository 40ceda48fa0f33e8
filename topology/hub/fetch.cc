// Tries again after a break, from the byte that comes next.
#include "topology/hub/fetch.h"

#include <algorithm>
#include <thread>

#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(50);  // how often a wait looks at stopped()

void wait(Duration duration, const FetchWatch& watch) {
  const Time end = now() + duration;
  for (Time at = now(); at < end; at = now()) {
    check_not_stopped(watch);
    std::this_thread::sleep_for(std::min<Duration>(end - at, kLook));
  }
}

}  // namespace

Tries::Tries(const FetchWatch& watch, std::string what) : watch_(watch), what_(std::move(what)) {}

void Tries::failed(const ReadEnd& end) {
  ++failed_;
  if (failed_ >= kTriesMax || end.wait > kLongestWait)
    throw Fault(
        FaultKind::world,
        what_ + ": " + end.broken +
            (end.wait > kLongestWait
                 ? ", and it wants no new try for " + number_text(seconds(end.wait)) + " s"
                 : ", " + std::to_string(failed_) + " times in a row"),
        Fix{"what has arrived is kept: see that the network works, and give the same command "
            "again later"});
  const Duration own = kFirstWait * (1 << (failed_ - 1));
  const Duration pause = std::max(own, end.wait);
  watch_.note(what_ + ": " + end.broken + "; trying again in " + number_text(seconds(pause)) +
              " s");
  wait(pause, watch_);
}

void check_not_stopped(const FetchWatch& watch) {
  if (watch.stopped())
    throw Fault(FaultKind::canceled, "stopped; the same command goes on from here");
}

void fetch_range(ModelFiles& from, size_t file, ByteRange range, const FetchWatch& watch,
                 const ByteSink& sink) {
  Tries tries(watch, from.name() + ": " + from.files()[file].name);
  while (range.bytes > 0) {
    check_not_stopped(watch);
    uint64_t came = 0;
    const ReadEnd end = from.read(file, range, [&](std::span<const std::byte> bytes) {
      sink(bytes);
      came += bytes.size();
      watch.arrived(bytes.size());
    });
    range.begin += came;
    range.bytes -= came;
    if (range.bytes == 0) return;
    if (came) tries.progressed();
    tries.failed(end.broken.empty() ? ReadEnd{"the answer is too short", {}} : end);
  }
}

}  // namespace potluck
