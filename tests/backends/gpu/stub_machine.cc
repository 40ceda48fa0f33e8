// The stub's code objects are a text; its launches go to the emulator.
#include "tests/backends/gpu/stub_machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "backends/gpu/cards.h"
#include "backends/gpu/code_objects.h"
#include "backends/gpu/open_card.h"
#include "tests/emulator/emulator.h"
#include "topology/base/check.h"

namespace potluck {
namespace {

constexpr const char* kNoLibrary = "libno-such.so.1";

StubMachine* here = nullptr;

std::string code_file() {
  std::vector<CodeObject> objects;
  for (const std::string each : {"sm_86", "gfx906"})
    objects.push_back({each, "code for " + each + std::string(1, '\0')});
  const std::string path =
      testing::TempDir() + "/stub-kernels-" + std::to_string(getpid()) + ".bin";
  std::ofstream(path, std::ios::binary) << code_objects_file(objects);
  return path;
}

}  // namespace

StubMachine::StubMachine(const std::string& library)
    : library_(library), is_cuda_(library.rfind("cuda", 0) == 0) {
  CHECK(!here);
  here = this;
  start_again();
}

StubMachine::~StubMachine() {
  here = nullptr;
}

void StubMachine::start_again() {
  library_.clear();
  books().architecture = is_cuda_ ? "sm_86" : "gfx906";
  const emulator::Vendor vendor = is_cuda_ ? emulator::Vendor::cuda : emulator::Vendor::hip;
  books().run = [vendor](const StubLaunch& launch) {
    emulator::run(vendor, launch.kernel,
                  {static_cast<int>(launch.grid_x), static_cast<int>(launch.grid_y)},
                  launch.operands.data());
  };
}

std::string StubMachine::device(int card) const {
  return (is_cuda_ ? "cuda:" : "hip:") + std::to_string(card);
}

std::unique_ptr<GpuDriver> StubMachine::open(const std::string& device) const {
  static const std::string code = code_file();
  CardPlaces places{{kNoLibrary}, {kNoLibrary}, "/dev/null", "/dev/null", code};
  (is_cuda_ ? places.cuda : places.hip) = {library_.path()};
  places.patience = patience_;
  return open_card_of(places, device);
}

std::unique_ptr<GpuDriver> open_card(const std::string& device) {
  CHECK(here);
  return here->open(device);
}

}  // namespace potluck
