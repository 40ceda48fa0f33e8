// Runs a fuzz target without libFuzzer: over its kept inputs, and over mutations of them from one
// seed. What the target must not do (crash, leak, let an exception out) fails the test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr uint64_t kSeed = 20260101;

std::vector<Input> kept_inputs() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(POTLUCK_CORPUS))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Input> inputs;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

// One small damage: a bit, a byte, a run of one value, a cut, or the tail of another input.
void mutate(Input& input, const Input& other, std::mt19937_64& random) {
  if (input.empty()) return input.assign(1, static_cast<uint8_t>(random()));
  const size_t at = random() % input.size();
  switch (random() % 5) {
    case 0:
      input[at] ^= static_cast<uint8_t>(1u << random() % 8);
      break;
    case 1:
      input[at] = static_cast<uint8_t>(random());
      break;
    case 2:
      std::fill_n(input.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min<size_t>(input.size() - at, 1 + random() % 8), random() % 2 ? 0xFF : 0);
      break;
    case 3:
      input.resize(at);
      break;
    default:
      input.resize(at);
      if (at < other.size())
        input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(at), other.end());
  }
}

TEST(Fuzz, SurvivesItsKeptInputs) {
  const std::vector<Input> inputs = kept_inputs();
  ASSERT_GT(inputs.size(), 5u) << "the corpus is not where it should be: " << POTLUCK_CORPUS;
  for (const Input& input : inputs) LLVMFuzzerTestOneInput(input.data(), input.size());
}

TEST(Fuzz, SurvivesMutationsOfThem) {
  const std::vector<Input> inputs = kept_inputs();
  ASSERT_FALSE(inputs.empty());
  RecordProperty("seed", std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < POTLUCK_MUTATIONS; ++i) {
    Input input = inputs[random() % inputs.size()];
    for (uint64_t damages = 1 + random() % 4; damages > 0; --damages)
      mutate(input, inputs[random() % inputs.size()], random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}

}  // namespace
