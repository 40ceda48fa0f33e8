// A checkpoint's folder. The input is config.json, generation_config.json and
// model.safetensors.index.json, each ended by a NUL, then model.safetensors; a part that is empty
// is a file that is not there.
#include <array>
#include <string_view>

#include "tests/fuzz/refused.h"
#include "tests/topology/model/temp_folder.h"
#include "tests/topology/model/tiny_model.h"
#include "topology/model/safetensors.h"

namespace potluck {
namespace {

constexpr std::array kFiles = {"config.json", "generation_config.json",
                               "model.safetensors.index.json", "model.safetensors"};

// In memory where it can be: 50 times as fast as a disk's folder.
std::filesystem::path quick_place() {
  const char* memory = "/dev/shm";
  return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
}

void write_folder(const TempFolder& folder, std::string_view input) {
  for (const char* name : kFiles) {
    const bool last = name == kFiles.back();
    const std::string_view part = last ? input : input.substr(0, input.find('\0'));
    input.remove_prefix(std::min(input.size(), part.size() + 1));
    if (part.empty())
      std::filesystem::remove(folder.path(name));
    else
      folder.write(name, std::string(part));
  }
}

}  // namespace
}  // namespace potluck

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace potluck;
  static const TempFolder folder(quick_place());
  write_folder(folder, {reinterpret_cast<const char*>(data), size});
  refused([] { touch(*open_safetensors(folder.path())); });
  return 0;
}
