// Checks of what a flag may be given. All commands refuse a value in the same words.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace potluck {

inline constexpr char kRangesHelp[] =
    "name each pass and launch of a card for a profiler (nsys, rocprof), by NVTX or rocTX";

inline constexpr uint64_t kMostInt = std::numeric_limits<int>::max();

// Allows a whole number from least to most in plain decimal, and the value `also` if it is given.
// The help shows `type`.
void whole_number(CLI::Option* option, const char* type, uint64_t least, uint64_t most,
                  const std::string& also = "");
// Allows a number from least to most, and the value `also` if it is given.
void real_number(CLI::Option* option, const char* type, double least, double most,
                 std::optional<double> also = std::nullopt);
// Allows one of some words.
void one_of(CLI::Option* option, const std::vector<std::string>& words);
// Allows anything but nothing at all, which is mostly a variable that is not set.
CLI::Option* not_empty(CLI::Option* option, const std::string& otherwise = "it is empty");
// Allow any name that is not empty.
void file_name(CLI::Option* option);
void model_name(CLI::Option* option);

// -s, --seed: any 64-bit number, or -1 for none, which means a random one.
void add_seed_flag(CLI::App* command, std::optional<uint64_t>& seed, const std::string& help);
uint64_t seed_or_random(const std::optional<uint64_t>& seed);

}  // namespace potluck
