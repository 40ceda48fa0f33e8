// Plays logind on the bus of a test's machine: says which locks are asked for, and when they are
// given back.
//   fake_logind [refuse]
#include <fcntl.h>
#include <poll.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

bool refuses = false;
std::vector<int> held;  // our ends of the locks

int inhibit(sd_bus_message* call, void*, sd_bus_error* error) {
  const char *what = nullptr, *who = nullptr, *why = nullptr, *mode = nullptr;
  if (sd_bus_message_read(call, "ssss", &what, &who, &why, &mode) < 0) return -1;
  if (refuses) return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Permission denied");
  std::printf("lock %s by %s, %s: %s\n", what, who, mode, why);
  std::fflush(stdout);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  held.push_back(ends[0]);
  const int code = sd_bus_reply_method_return(call, "h", ends[1]);
  close(ends[1]);
  return code;
}

const sd_bus_vtable kTable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Inhibit", "ssss", "h", inhibit, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_VTABLE_END};

bool is_released(int end) {
  pollfd look{end, POLLIN, 0};
  return poll(&look, 1, 0) > 0;
}

void look_for_releases() {
  const auto kept =
      std::stable_partition(held.begin(), held.end(), [](int end) { return !is_released(end); });
  for (auto end = kept; end != held.end(); ++end) {
    std::puts("released");
    close(*end);
  }
  std::fflush(stdout);
  held.erase(kept, held.end());
}

}  // namespace

int main(int count, char** words) {
  constexpr uint64_t kTurnUs = 20'000;
  refuses = count > 1 && std::strcmp(words[1], "refuse") == 0;
  sd_bus* bus = nullptr;
  if (sd_bus_open_system(&bus) < 0 ||
      sd_bus_add_object_vtable(bus, nullptr, "/org/freedesktop/login1",
                               "org.freedesktop.login1.Manager", kTable, nullptr) < 0 ||
      sd_bus_request_name(bus, "org.freedesktop.login1", 0) < 0)
    return 1;
  std::puts("ready");
  std::fflush(stdout);
  while (sd_bus_process(bus, nullptr) >= 0) {
    look_for_releases();
    sd_bus_wait(bus, kTurnUs);
  }
  return 1;
}
