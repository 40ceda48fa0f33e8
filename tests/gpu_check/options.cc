// Reads flags; nothing of potluck's command line is needed for that.
#include "tests/gpu_check/options.h"

#include <charconv>
#include <filesystem>
#include <string_view>

#include "topology/base/clock.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

// The folder that was carried along with the program.
std::string golden_beside_program() {
  std::error_code none;
  return std::filesystem::read_symlink("/proc/self/exe", none).parent_path() / "golden";
}

double number(std::string_view flag, std::string_view text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || value < 0)
    throw Fault(FaultKind::input,
                std::string(flag) + " " + std::string(text) + " is not a number of 0 or more");
  return value;
}

void take(CheckOptions& options, std::string_view flag, const std::string& value) {
  if (flag == "--device")
    options.device = value;
  else if (flag == "--only")
    options.only = value;
  else if (flag == "--json")
    options.json = value;
  else if (flag == "--golden")
    options.golden = value;
  else if (flag == "--seconds")
    options.seconds = number(flag, value);
  else if (flag == "--seed")
    options.seed = static_cast<uint32_t>(number(flag, value));
  else
    throw Fault(FaultKind::input, "there is no flag " + std::string(flag), Fix{"see --help"});
}

}  // namespace

CheckOptions read_options(int count, char** words) {
  CheckOptions options;
  options.golden = golden_beside_program();
  options.seed = now().time_since_epoch().count() % 1'000'000;
  for (int i = 1; i < count; ++i) {
    const std::string_view flag = words[i];
    if (flag == "--quick") {
      options.quick = true;
    } else if (flag == "--help" || flag == "-h") {
      options.help = true;
    } else {
      if (i + 1 == count)
        throw Fault(FaultKind::input, std::string(flag) + " wants a value", Fix{"see --help"});
      take(options, flag, words[++i]);
    }
  }
  return options;
}

const char* usage() {
  return R"(potluck-gpu-check: does this card compute what it should, and how fast?

  --device D    cuda:0, hip:1, several with commas between them, or all (default)
  --quick       small shapes and few repeats
  --only PARTS  of peaks,fragments,weights,contract,shapes,golden,nccl,kernels,steps,variants
  --json FILE   write all of it as JSON, for sending in
  --seconds N   begin nothing further after N seconds (default: 480)
  --seed N      of the values that are drawn anew (default: another each time)
  --golden DIR  the recorded traces (default: golden, beside the program)

The code objects, potluck-kernels.bin, lie beside the program.
Exit code: 0 all is right, 1 something is not, 2 a wrong flag, 3 no card can be used.
)";
}

}  // namespace potluck
