// Where a machine says what goes on in it, and which processes there are potluck's.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace potluck {

// Linux's folders, and NVIDIA's library; tests have such of their own.
struct MachinePlaces {
  std::filesystem::path proc = "/proc", sys = "/sys";
  std::string nvml = "libnvidia-ml.so.1";
};

std::string first_line(const std::filesystem::path& path);  // empty if it cannot be read
bool is_number(const std::string& text);
// Calls for each entry of a folder; a folder or an entry that goes meanwhile is passed over.
void each_entry(const std::filesystem::path& folder,
                const std::function<void(const std::filesystem::path& entry)>& body);
// Calls for each process's folder, by whether it has the name of this program.
void each_process(
    const MachinePlaces& places,
    const std::function<void(const std::filesystem::path& process, bool is_potluck)>& body);

}  // namespace potluck
