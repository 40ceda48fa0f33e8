// A machine's cards are listed, and where there are none the list says why.
#include "backends/gpu/cards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "backends/gpu/code_objects.h"
#include "tests/backends/gpu/stub_library.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kNone = {"libno-such.so.1"};

// A file of code for these architectures, which the stub drivers take.
std::string code_file(const std::vector<std::string>& architectures) {
  std::vector<CodeObject> objects;
  for (const std::string& each : architectures)
    objects.push_back({each, "code for " + each + std::string(1, '\0')});
  const std::string path = testing::TempDir() + "/kernels.bin";
  std::ofstream(path, std::ios::binary) << code_objects_file(objects);
  return path;
}

CardPlaces places_of(const StubLibrary& cuda, const StubLibrary& hip) {
  return {{cuda.path()}, {hip.path()}, "/dev/null", "/dev/null", code_file({"sm_86", "gfx906"})};
}

// A problem that another user is told, who has no rights to the file.
std::string told_to_others(const CardPlaces& places) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(1);
    const std::string problem = find_cards(places)[1].problem;
    const ssize_t written = write(ends[1], problem.data(), problem.size());
    _exit(written == static_cast<ssize_t>(problem.size()) ? 0 : 1);
  }
  close(ends[1]);
  char text[512] = {};
  EXPECT_GT(read(ends[0], text, sizeof(text) - 1), 0);
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  return text;
}

TEST(Cards, AreListedByBothVendors) {
  const StubLibrary cuda("cuda_12_2"), hip("hip_5");
  cuda.books().cards = 2;
  hip.books().architecture = "gfx906";
  const std::vector<Card> cards = find_cards(places_of(cuda, hip));
  ASSERT_EQ(cards.size(), 3);
  EXPECT_EQ(cards[0].device, "cuda:0");
  EXPECT_EQ(cards[1].device, "cuda:1");
  EXPECT_EQ(cards[2].device, "hip:0");
  EXPECT_EQ(cards[1].facts.value().driver, "CUDA 12.2");
  EXPECT_EQ(cards[2].facts.value().driver, "HIP 5.2");
  EXPECT_EQ(cards[2].facts.value().architecture, "gfx906");
  for (const Card& card : cards) EXPECT_EQ(card.problem, "");
  EXPECT_TRUE(cuda.books().live.empty());
}

TEST(Cards, AMachineWithNoneSaysWhy) {
  const std::vector<Card> cards = find_cards({kNone, kNone});
  ASSERT_EQ(cards.size(), 2);
  EXPECT_EQ(cards[0].device, "cuda");
  EXPECT_EQ(cards[0].problem,
            "libcuda.so.1 is not installed; install NVIDIA's driver, 525 or newer");
  EXPECT_EQ(cards[1].device, "hip");
  EXPECT_FALSE(cards[0].facts || cards[1].facts);
}

TEST(Cards, ALibraryWithoutACardSaysWhatIsMissing) {
  const StubLibrary cuda("cuda_13_0"), hip("hip_7");
  cuda.books().cards = hip.books().cards = 0;
  std::vector<Card> cards = find_cards(places_of(cuda, hip));
  EXPECT_EQ(cards[0].problem,
            "CUDA 13.0's library is installed, and finds no card that it can use");
  EXPECT_EQ(cards[1].problem, "HIP's library is installed, and finds no card that it can use");
  CardPlaces places = places_of(cuda, hip);
  places.amd_file = "/no/kfd";
  EXPECT_THAT(find_cards(places)[1].problem,
              HasSubstr("there is no /no/kfd, so the kernel's driver is not loaded"));
}

TEST(Cards, AUserWithoutRightsIsToldTheGroup) {
  const StubLibrary hip("hip_6");
  hip.books().cards = 0;
  const std::string file = testing::TempDir() + "/kfd";
  std::fclose(std::fopen(file.c_str(), "w"));
  ASSERT_EQ(chmod(file.c_str(), 0), 0);
  EXPECT_EQ(
      told_to_others({kNone, {hip.path()}, "/dev/null", file}),
      "this user has no rights to " + file + "; add the user to the group root, and log in again");
}

TEST(Cards, OneThatDoesNotAnswerLeavesTheOthers) {
  const StubLibrary cuda("cuda_12_2");
  cuda.books().cards = 2;
  find_cards(places_of(cuda, cuda));
  const auto& calls = cuda.books().calls;
  const auto opened = std::find(calls.begin(), calls.end(), "cuDevicePrimaryCtxRetain");
  const int first = opened - calls.begin() + 1;
  cuda.clear();
  cuda.books().cards = 2;
  cuda.books().failing_call = first;
  const std::vector<Card> cards = find_cards(places_of(cuda, cuda));
  EXPECT_FALSE(cards[0].facts);
  EXPECT_THAT(cards[0].problem,
              HasSubstr("NVIDIA Stub 3060 (cuda:0): cuDevicePrimaryCtxRetain failed: "
                        "CUDA_ERROR_ILLEGAL_ADDRESS (700)"));
  EXPECT_TRUE(cards[1].facts);
}

TEST(Cards, OneWithoutCodeSaysWhatThereIsCodeFor) {
  const StubLibrary cuda("cuda_12_2"), hip("hip_6");
  cuda.books().architecture = "sm_61";
  hip.books().architecture = "gfx906";
  CardPlaces places = places_of(cuda, hip);
  const std::vector<Card> cards = find_cards(places);
  EXPECT_TRUE(cards[0].facts);
  EXPECT_THAT(cards[0].problem, HasSubstr("there is no code for sm_61, only for sm_86, gfx906"));
  EXPECT_EQ(cards[1].problem, "");
  EXPECT_THROW(open_card_of(places, "cuda:0"), Fault);
  places.code = "/no/kernels.bin";
  EXPECT_THAT(find_cards(places)[1].problem, HasSubstr("/no/kernels.bin"));
  EXPECT_TRUE(cuda.books().live.empty());
}

TEST(Cards, AreOpenedByNameWithTheirCode) {
  const StubLibrary cuda("cuda_12_2"), hip("hip_6");
  hip.books().architecture = "gfx906";
  const CardPlaces places = places_of(cuda, hip);
  EXPECT_EQ(open_card_of(places, "cuda:0")->facts().name, "NVIDIA Stub 3060");
  EXPECT_EQ(open_card_of(places, "hip:0")->facts().name, "AMD Stub 6800");
  EXPECT_THAT(hip.books().calls, testing::Contains("hipModuleLoadData"));
  EXPECT_TRUE(hip.books().live.empty());
  for (const char* wrong : {"cuda:1", "cuda", "cuda:", "cuda:x", "cuda:-1", "hip:0x", "tpu:0"}) {
    try {
      open_card_of(places, wrong);
      ADD_FAILURE() << wrong;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input) << wrong;
      EXPECT_THAT(fault.what(), HasSubstr(wrong));
    }
  }
}

}  // namespace
}  // namespace potluck
