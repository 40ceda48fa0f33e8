// CUDA's and HIP's drivers over stub libraries: each call reaches the right function with what it
// needs, and whatever fails becomes a fault that leaves nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "backends/gpu/card_driver.h"
#include "backends/gpu/cuda_driver.h"
#include "backends/gpu/hip_driver.h"
#include "tests/backends/gpu/stub_library.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t kWords = 64, kBytes = kWords * sizeof(uint32_t);

std::shared_ptr<Vendor> load(const StubLibrary& library) {
  const bool cuda = library.path().find("cuda") != std::string::npos;
  std::shared_ptr<Vendor> vendor = cuda ? load_cuda({library.path()}) : load_hip({library.path()});
  vendor->start();
  return vendor;
}

Fault fault_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Fault& fault) {
    return fault;
  }
  return Fault(FaultKind::input, "there was no fault");
}

// Frees when it goes, as the owners of such things do.
template <typename Free>
class Owner final {
 public:
  explicit Owner(Free free) : free_(std::move(free)) {}
  ~Owner() { free_(); }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

 private:
  Free free_;
};

// A small pass: words go to the card, are filled, copied and launched over, once at once and twice
// as a graph, and come back. Calls each method of the driver.
void use_card(const StubLibrary& library, std::vector<uint32_t>& words) {
  const std::shared_ptr<Vendor> vendor = load(library);
  ASSERT_EQ(count_cards(*vendor), 1);
  CardDriver card(vendor, 0);
  const std::string code = "code for " + card.facts().architecture;
  card.load(std::as_bytes(std::span(code.c_str(), code.size() + 1)));

  const GpuStream stream = card.make_stream();
  const Owner own_stream([&] { card.free_stream(stream); });
  const GpuStream other = card.make_stream();
  const Owner own_other([&] { card.free_stream(other); });
  void* host = card.allocate_host(kBytes);
  const Owner own_host([&] { card.free_host(host); });
  void* from = card.allocate(kBytes);
  const Owner own_from([&] { card.free(from); });
  void* to = card.allocate(kBytes);
  const Owner own_to([&] { card.free(to); });
  const GpuEvent start = card.make_event();
  const Owner own_start([&] { card.free_event(start); });
  const GpuEvent end = card.make_event();
  const Owner own_end([&] { card.free_event(end); });

  std::memcpy(host, words.data(), kBytes);
  card.record(start, stream);
  card.copy_in(host, from, kBytes, stream);
  const gpu::RmsNorm norm{.x = static_cast<const float*>(from), .out = static_cast<float*>(to)};
  card.launch({gpu::Kernel::rms_norm, 3, 2, &norm}, stream);
  card.begin_capture(stream);
  card.copy(from, to, kBytes, stream);
  card.fill(7, to, kWords / 2, stream);
  card.launch({gpu::Kernel::rms_norm, 5, 1, &norm}, stream);
  const GpuGraph graph = card.end_capture(stream);
  const Owner own_graph([&] { card.free_graph(graph); });
  card.launch(graph, stream);
  card.launch(graph, stream);
  card.copy_out(to, host, kBytes, stream);
  card.record(end, stream);
  card.wait_for(end, other);
  card.wait(end);
  card.wait(stream);
  ASSERT_GT(card.milliseconds(start, end), 0);
  std::memcpy(words.data(), host, kBytes);
}

class Drivers : public testing::TestWithParam<const char*> {
 protected:
  Drivers() : library_(GetParam()) {
    library_.books().architecture = is_cuda() ? "sm_86" : "gfx1030";
    for (size_t i = 0; i < kWords; ++i) words_.push_back(100 + i);
  }

  bool is_cuda() const { return std::string(GetParam()).rfind("cuda", 0) == 0; }
  void use() { use_card(library_, words_); }

  std::string name_of(int card) const {
    return (is_cuda() ? "NVIDIA Stub 3060 (cuda:" : "AMD Stub 6800 (hip:") + std::to_string(card) +
           ")";
  }

  void expect_clean_books() {
    EXPECT_THAT(library_.books().live, IsEmpty());
    EXPECT_THAT(library_.books().misuses, IsEmpty());
  }

  StubLibrary library_;
  std::vector<uint32_t> words_;
};

TEST_P(Drivers, EachCallArrives) {
  std::vector<StubLaunch> launches;
  library_.books().run = [&](const StubLaunch& launch) { launches.push_back(launch); };
  use();
  expect_clean_books();
  for (size_t i = 0; i < kWords; ++i) EXPECT_EQ(words_[i], i < kWords / 2 ? 7 : 100 + i) << i;
  ASSERT_EQ(launches.size(), 3);
  EXPECT_EQ(launches[0].grid_x, 3);
  EXPECT_EQ(launches[0].grid_y, 2);
  EXPECT_EQ(launches[2].grid_x, 5);
  gpu::RmsNorm operands;
  ASSERT_EQ(launches[2].operands.size(), sizeof(operands));
  std::memcpy(&operands, launches[2].operands.data(), sizeof(operands));
  EXPECT_NE(operands.out, operands.x);
}

TEST_P(Drivers, FactsAreTheCards) {
  CardDriver card(load(library_), 0);
  library_.books().bytes_taken_by_others = size_t{5} << 30;
  library_.books().has_display = is_cuda();
  const GpuFacts facts = card.facts();
  EXPECT_EQ(facts.name, is_cuda() ? "NVIDIA Stub 3060" : "AMD Stub 6800");
  EXPECT_EQ(facts.architecture, library_.books().architecture);
  EXPECT_EQ(facts.units, is_cuda() ? 28 : 36);
  EXPECT_EQ(facts.lanes, 32);
  EXPECT_EQ(facts.bytes_total, size_t{12} << 30);
  EXPECT_EQ(facts.bytes_free, size_t{7} << 30);
  EXPECT_EQ(facts.cache_bytes, is_cuda() ? 2359296 : 4194304);
  EXPECT_EQ(facts.shared_bytes, is_cuda() ? 101376 : 65536);
  EXPECT_EQ(facts.has_watchdog, is_cuda());
  EXPECT_EQ(facts.address, "0000:01:00.0");
}

TEST_P(Drivers, TellABusyStreamFromABrokenOne) {
  {
    CardDriver card(load(library_), 0);
    const GpuStream stream = card.make_stream();
    EXPECT_FALSE(card.is_idle(stream));  // a stub is busy each time that it is asked anew
    EXPECT_TRUE(card.is_idle(stream));
    library_.books().failing_call = static_cast<int>(library_.books().calls.size()) + 2;
    EXPECT_THROW(card.is_idle(stream), Fault);  // after the call that enters
    card.free_stream(stream);
  }
  expect_clean_books();
}

// A fault is thrown unless the call frees; either way nothing is left, and the card can be used
// again.
TEST_P(Drivers, EveryCallThatFailsLeavesNothingBehind) {
  use();
  const std::vector<std::string> calls = library_.books().calls;
  ASSERT_GE(calls.size(), 50);
  for (size_t i = 0; i < calls.size(); ++i) {
    SCOPED_TRACE("call " + std::to_string(i + 1) + ", " + calls[i]);
    const std::string architecture = library_.books().architecture;
    library_.clear();
    library_.books().architecture = architecture;
    library_.books().failing_call = i + 1;
    std::string text;
    try {
      use();
    } catch (const Fault& fault) {
      text = fault.what();
      EXPECT_EQ(fault.kind(), FaultKind::world);
      EXPECT_THAT(text, HasSubstr(calls[i] + " failed: "));
      EXPECT_THAT(text, HasSubstr(is_cuda() ? "CUDA_ERROR_ILLEGAL_ADDRESS (700)"
                                            : "hipErrorIllegalAddress (700)"));
    }
    const bool frees = text.empty();
    const auto& made = library_.books().calls;
    EXPECT_TRUE(!frees || made.size() >= calls.size()) << "no fault, and the pass ended early";
    expect_clean_books();
    library_.books().failing_call = 0;
    use();
    expect_clean_books();
  }
}

TEST_P(Drivers, MemoryThatOthersTookIsSaidInNumbers) {
  CardDriver card(load(library_), 0);
  library_.books().bytes_taken_by_others = size_t{11} << 30;
  try {
    card.allocate(size_t{2} << 30);
    FAIL() << "two gigabytes where there is one";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::memory);
    EXPECT_EQ(fault.fix().setting, Setting::split);
    EXPECT_THAT(fault.text(), HasSubstr(is_cuda() ? "NVIDIA Stub 3060 (cuda:0): cuMemAlloc_v2"
                                                  : "AMD Stub 6800 (hip:0): hipMalloc"));
    EXPECT_THAT(fault.text(), HasSubstr("2.15 GB were asked for and 1.07 GB of 12.9 GB are free"));
  }
  card.free(card.allocate(size_t{1} << 20));
}

// A stream left in its capture would keep what is enqueued, and never run it.
TEST_P(Drivers, ACallThatFailsInACaptureEndsTheCapture) {
  CardDriver card(load(library_), 0);
  const GpuStream stream = card.make_stream();
  void* memory = card.allocate(kBytes);
  card.begin_capture(stream);
  library_.books().failing_call = library_.books().calls.size() + 2;  // after that which enters
  EXPECT_THROW(card.fill(1, memory, kWords, stream), Fault);
  card.fill(9, memory, kWords, stream);
  card.wait(stream);
  EXPECT_EQ(static_cast<uint32_t*>(memory)[0], 9) << "it was enqueued, not kept";
  card.free(memory);
  card.free_stream(stream);
}

// A call to it might never come back, so none is made any more but that which gives its name.
TEST_P(Drivers, ACardThatHangsIsGivenUpByName) {
  static int last_card = 0;  // each that hangs does so for the rest of this process
  const int number = ++last_card;
  StubBooks& books = library_.books();
  books.cards = number + 2;
  const auto vendor = load(library_);
  {
    CardDriver card(vendor, number, std::chrono::milliseconds(5));
    const GpuStream stream = card.make_stream();
    const GpuEvent event = card.make_event();
    void* memory = card.allocate(kBytes);
    card.record(event, stream);
    books.hangs = true;
    EXPECT_EQ(fault_of([&] { card.wait(event); }).kind(), FaultKind::world);
    books.calls.clear();
    EXPECT_THAT(fault_of([&] { card.wait(stream); }).what(),
                HasSubstr(name_of(number) + " hangs: it did not end its work in "));
    EXPECT_THAT(fault_of([&] { card.fill(1, memory, kWords, stream); }).what(),
                HasSubstr("restart potluck"));
    EXPECT_THAT(fault_of([&] { CardDriver(vendor, number); }).what(), HasSubstr(" hangs"));
    card.free(memory);
    card.free_event(event);
    card.free_stream(stream);
  }
  EXPECT_THAT(books.calls, testing::Each(testing::HasSubstr("GetName")));
  EXPECT_FALSE(books.live.empty());
  books.hangs = false;
  CardDriver other(vendor, number + 1);
  other.free(other.allocate(kBytes));
}

TEST_P(Drivers, AnErrorThatStaysSaysWhatMustBeRestarted) {
  CardDriver card(load(library_), 0);
  library_.books().broken = kStubBroken;
  EXPECT_THAT(fault_of([&] { card.allocate(kBytes); }).what(),
              HasSubstr("restart potluck on this machine before it uses the card again"));
  library_.books().broken = kStubGone;
  const Fault gone = fault_of([&] { card.allocate(kBytes); });
  EXPECT_THAT(gone.what(),
              HasSubstr(is_cuda() ? "cuda:0: cuCtxSetCurrent failed: CUDA_ERROR_NO_DEVICE (100)"
                                  : "hip:0: hipSetDevice failed: hipErrorNoDevice (100)"));
  EXPECT_THAT(gone.what(), HasSubstr("fell off the bus"));
}

TEST_P(Drivers, CodeOfAnotherChipIsRefused) {
  CardDriver card(load(library_), 0);
  const std::string code = "code for sm_61";
  EXPECT_THROW(card.load(std::as_bytes(std::span(code.c_str(), code.size() + 1))), Fault);
}

INSTANTIATE_TEST_SUITE_P(Of, Drivers,
                         testing::Values("cuda_12_2", "cuda_13_0", "hip_5", "hip_6", "hip_7"),
                         [](const auto& driver) { return std::string(driver.param); });

TEST(DriverLibraries, OneOfAnOldDriverSaysWhichIsNeeded) {
  const StubLibrary library("cuda_11_8");
  try {
    load_cuda({library.path()});
    FAIL() << "a driver of CUDA 11.8 runs no cubin of CUDA 12";
  } catch (const Fault& fault) {
    EXPECT_STREQ(fault.what(),
                 "the NVIDIA driver is for CUDA 11.8, and potluck's code needs CUDA 12.0; install "
                 "driver 525 or newer");
  }
}

TEST(DriverLibraries, HopperTakesTheCodeThatIsItsAlone) {
  const StubLibrary library("cuda_12_2");
  library.books().architecture = "sm_90";
  EXPECT_EQ(CardDriver(load(library), 0).facts().architecture, "sm_90a");
  library.books().architecture = "sm_120";
  EXPECT_EQ(CardDriver(load(library), 0).facts().architecture, "sm_120");
}

TEST(DriverLibraries, TheFirstThatIsInstalledIsTaken) {
  const StubLibrary library("hip_6");
  const auto vendor = load_hip({"libno-such.so.7", library.path(), "libno-such.so.5"});
  vendor->start();
  EXPECT_EQ(vendor->version(), "HIP 6.1");
}

TEST(DriverLibraries, AMissingOneIsToldFromABrokenOne) {
  const auto problem = [](const std::vector<std::string>& names) -> std::string {
    try {
      load_hip(names);
    } catch (const Fault& fault) {
      return fault.what();
    }
    return "";
  };
  EXPECT_THAT(problem({"libno-such.so.7", "libno-such.so.6"}),
              HasSubstr("libamdhip64.so.7, .6 or .5 is not installed; install AMD's"));
  const std::string broken = testing::TempDir() + "/libbroken.so";
  std::fclose(std::fopen(broken.c_str(), "w"));
  EXPECT_THAT(problem({"libno-such.so.7", broken}),
              HasSubstr(broken + " is installed and cannot be loaded: "));
  EXPECT_THAT(problem({"libm.so.6"}), HasSubstr("libm.so.6 has no function hipGetErrorName"));
}

}  // namespace
}  // namespace potluck
