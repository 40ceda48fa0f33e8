// What a flag may be given, said in the same words by all commands.
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

inline constexpr uint64_t kMostInt = std::numeric_limits<int>::max();

// A whole number from least to most in plain decimal, in the help as TYPE; `also`: one more value
// that is allowed.
void whole_number(CLI::Option* option, const char* type, uint64_t least, uint64_t most,
                  const std::string& also = "");
// A number from least to most.
void real_number(CLI::Option* option, const char* type, double least, double most);
// One of some words.
void one_of(CLI::Option* option, const std::vector<std::string>& words);
// A name that is not empty.
void file_name(CLI::Option* option);

// -s, --seed: any 64-bit number; -1: none, a random one.
void add_seed_flag(CLI::App* command, std::optional<uint64_t>& seed, const std::string& help);
uint64_t seed_or_random(const std::optional<uint64_t>& seed);

}  // namespace potluck
