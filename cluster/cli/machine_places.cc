// Reads small files and lists folders of /proc and /sys.
#include "cluster/cli/machine_places.h"

#include <fstream>
#include <system_error>

namespace potluck {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

void each_entry(const fs::path& folder, const std::function<void(const fs::path& entry)>& body) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    body(entry->path());
}

void each_process(const MachinePlaces& places,
                  const std::function<void(const fs::path& process, bool is_potluck)>& body) {
  const std::string own = first_line(places.proc / "self/comm");
  each_entry(places.proc, [&](const fs::path& process) {
    if (is_number(process.filename().string())) body(process, first_line(process / "comm") == own);
  });
}

}  // namespace potluck
