// Guesses what a misspelt name was meant to be.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace potluck {

// `did you mean "layers"?` when one known name is at most two slips away, else `there are a, b`.
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace potluck
