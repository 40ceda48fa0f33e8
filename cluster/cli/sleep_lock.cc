// Asks logind for an inhibitor, which is a descriptor: it holds until that is closed, also by the
// end of the process.
#include "cluster/cli/sleep_lock.h"

#include <fcntl.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cstring>

namespace potluck {
namespace {

constexpr uint64_t kPatienceUs = 2'000'000;
// Idleness too: a desktop that nobody touches while it computes counts as idle.
constexpr char kWhat[] = "sleep:idle";
constexpr char kWhy[] = "it holds a part of a model for a ring";

struct Answer {
  int lock = -1;
  std::string why_not;
};

std::string words_of(const sd_bus_error& error, int code) {
  return error.message ? error.message : std::strerror(-code);
}

Answer ask(sd_bus* bus) {
  Answer answer;
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* reply = nullptr;
  sd_bus_set_method_call_timeout(bus, kPatienceUs);
  int fd = -1;
  int code = sd_bus_call_method(bus, "org.freedesktop.login1", "/org/freedesktop/login1",
                                "org.freedesktop.login1.Manager", "Inhibit", &error, &reply, "ssss",
                                kWhat, "potluck", kWhy, "block");
  if (code >= 0) code = sd_bus_message_read(reply, "h", &fd);
  if (code < 0)
    answer.why_not = words_of(error, code);
  else
    answer.lock = fcntl(fd, F_DUPFD_CLOEXEC, 0);  // the message's own ends with it
  sd_bus_error_free(&error);
  sd_bus_message_unref(reply);
  return answer;
}

Answer ask_logind() {
  sd_bus* bus = nullptr;
  const int code = sd_bus_open_system(&bus);
  if (code < 0) return {-1, std::string("there is no system bus: ") + std::strerror(-code)};
  Answer answer = ask(bus);
  sd_bus_flush_close_unref(bus);
  return answer;
}

}  // namespace

void SleepLock::hold(bool wanted) {
  if (!wanted) {
    if (lock_ >= 0) close(lock_);
    lock_ = -1;
    tried_ = false;
    return;
  }
  if (lock_ >= 0 || tried_) return;
  tried_ = true;
  const Answer answer = ask_logind();
  lock_ = answer.lock;
  if (lock_ < 0)
    log_("this machine may fall asleep while it is in a ring (" + answer.why_not +
         "); see its power settings, or systemctl mask sleep.target");
}

}  // namespace potluck
