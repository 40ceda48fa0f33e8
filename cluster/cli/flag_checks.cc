// Checks single flags, with messages that name what is allowed and the value found.
#include "cluster/cli/flag_checks.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <random>

namespace potluck {
namespace {

constexpr char kRandomSeed[] = "-1";

// Reads all of the text as a number; a sign or a space in front makes it none.
template <typename Number>
std::errc read_number(const std::string& text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return at == end ? error : std::errc::invalid_argument;
}

bool is_whole(const std::string& text) {
  return !text.empty() && (text[0] != '0' || text.size() == 1) &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_negative(const std::string& text) {
  return text.size() > 1 && text[0] == '-' && is_whole(text.substr(1));
}

// "a, b or c".
std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 < words.size() ? ", " : " or ") + words[i];
  return text;
}

// Nobody would see an empty word.
std::string shown(const std::string& value) {
  return value.empty() ? "\"\"" : value;
}

}  // namespace

void whole_number(CLI::Option* option, const char* type, uint64_t least, uint64_t most,
                  const std::string& also) {
  const auto check = [=](std::string& value) -> std::string {
    uint64_t number = 0;
    const bool whole = is_whole(value), fits = read_number(value, number) == std::errc();
    const bool other = !also.empty() && value == also;
    if (other || (whole && fits && number >= least && number <= most)) return "";
    const bool decimal = whole || is_negative(value);
    return fmt::format("must be {}{} to {}{}, not {}",
                       decimal ? "" : "a whole number in plain decimal, ", least, most,
                       also.empty() ? "" : ", or " + also, shown(value));
  };
  option->type_name(type)->check(CLI::Validator(check, ""));
}

void real_number(CLI::Option* option, const char* type, double least, double most,
                 std::optional<double> also) {
  const auto check = [=](std::string& value) -> std::string {
    double number = 0;
    const bool fits = read_number(value, number) == std::errc();
    if (fits && ((number >= least && number <= most) || number == also)) return "";
    return fmt::format("must be {:g} to {:g}{}, not {}", least, most,
                       also ? fmt::format(", or {:g}", *also) : "", shown(value));
  };
  option->type_name(type)->check(CLI::Validator(check, ""));
}

void one_of(CLI::Option* option, const std::vector<std::string>& words) {
  const auto check = [words](std::string& value) -> std::string {
    if (std::find(words.begin(), words.end(), value) != words.end()) return "";
    return fmt::format("must be {}, not {}", listed(words), shown(value));
  };
  option->type_name(fmt::format("{}", fmt::join(words, "|")))->check(CLI::Validator(check, ""));
}

CLI::Option* not_empty(CLI::Option* option, const std::string& otherwise) {
  const auto check = [otherwise](std::string& value) { return value.empty() ? otherwise : ""; };
  return option->check(CLI::Validator(check, ""));
}

void file_name(CLI::Option* option) {
  not_empty(option->type_name("FILE"), "the name of the file is empty");
}

void model_name(CLI::Option* option) {
  not_empty(option->type_name("MODEL"), "there is no model without a name");
}

void add_seed_flag(CLI::App* command, std::optional<uint64_t>& seed, const std::string& help) {
  const auto keep = [&seed](const std::string& value) {
    uint64_t number = 0;
    const bool given = read_number(value, number) == std::errc();
    seed = given ? std::optional(number) : std::nullopt;
  };
  whole_number(command->add_option_function<std::string>("-s,--seed", keep, help), "N", 0,
               std::numeric_limits<uint64_t>::max(), kRandomSeed);
}

uint64_t seed_or_random(const std::optional<uint64_t>& seed) {
  return seed ? *seed : std::random_device{}();  // 32 bits are enough, and easily typed again
}

}  // namespace potluck
