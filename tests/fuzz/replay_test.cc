// One fuzz target without libFuzzer: the kept inputs, then mutations of them from a fixed seed, so
// that a fault found is found again. Long runs are libFuzzer's (preset "fuzz").
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr uint64_t kSeed = 2026;
constexpr int kMutants = 3000;
constexpr int kChangesMax = 4;  // of one mutant

std::vector<std::string> read_corpus() {
  std::vector<std::string> names, inputs;
  for (const auto& entry : std::filesystem::directory_iterator(POTLUCK_CORPUS))
    names.push_back(entry.path());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    std::ifstream file(name, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

void run(const std::string& input) {
  EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size()),
            0);
}

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& corpus) : corpus_(corpus) {}

  std::string next() {
    std::string input = corpus_[below(corpus_.size())];
    for (size_t changes = 1 + below(kChangesMax); changes > 0; --changes) change(input);
    return input;
  }

 private:
  size_t below(size_t limit) { return limit ? random_() % limit : 0; }

  void change(std::string& input) {
    constexpr char kEdges[] = {'\0', '\1', '\x7F', '\x80', '\xFF', '[', '{', '"', ':', '\n'};
    const size_t at = below(input.size()), length = below(std::min<size_t>(input.size() - at, 64));
    switch (below(6)) {
      case 0:
        if (!input.empty()) input[at] = static_cast<char>(input[at] ^ 1 << below(8));
        return;
      case 1:
        if (!input.empty()) input[at] = kEdges[below(std::size(kEdges))];
        return;
      case 2:
        input.erase(at, length);
        return;
      case 3:
        input.insert(at, input.substr(at, length));
        return;
      case 4:
        input.resize(at);
        return;
      default: {
        const std::string& other = corpus_[below(corpus_.size())];
        input.replace(at, length, other.substr(below(other.size()), length));
      }
    }
  }

  const std::vector<std::string>& corpus_;
  std::mt19937_64 random_{kSeed};
};

TEST(POTLUCK_FUZZ_SUITE, KeptInputsAndTheirMutantsAreReadOrRefused) {
  const std::vector<std::string> corpus = read_corpus();
  ASSERT_FALSE(corpus.empty());
  for (const std::string& input : corpus) run(input);
  Mutator mutator(corpus);
  for (int i = 0; i < kMutants; ++i) run(mutator.next());
}

}  // namespace
