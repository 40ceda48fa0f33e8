// Runs a fuzz target over drawn inputs, each from a seed of its own, and names the seed of one that
// ends the process. POTLUCK_INPUTS says how many to run, POTLUCK_SEED which is the first.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kBytesMax = 600;

volatile std::sig_atomic_t g_seed = 0;

void name_seed(int number) {
  char line[64];
  const int bytes =
      std::snprintf(line, sizeof(line), "POTLUCK_SEED=%d\n", static_cast<int>(g_seed));
  if (write(STDERR_FILENO, line, static_cast<size_t>(bytes)) < 0) _exit(1);
  std::signal(number, SIG_DFL);
  std::raise(number);
}

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

TEST(Fuzz, SurvivesDrawnInputs) {
  for (const int number : {SIGABRT, SIGSEGV, SIGFPE}) std::signal(number, name_seed);
  const int first = from_environment("POTLUCK_SEED", 1);
  const int inputs = from_environment("POTLUCK_INPUTS", POTLUCK_DRAWN);
  for (int seed = first; seed < first + inputs; ++seed) {
    g_seed = seed;
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    std::vector<uint8_t> input(random() % kBytesMax);
    for (uint8_t& byte : input) byte = static_cast<uint8_t>(random());
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}

}  // namespace
