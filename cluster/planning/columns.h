// Text in 80 columns.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace potluck {

inline constexpr int kColumns = 80;

std::string shortened(const std::string& name, size_t most);  // "a-long-na.."
std::string joined(const std::vector<std::string>& items, const std::string& between = ", ");

// The text behind `first`, in lines that fit; the second and later ones are indented as far.
std::string wrapped(const std::string& first, const std::string& text);

// A part of `width` marks; at least one of any part that is more than nothing.
std::string bar(double share, int width, char mark);

}  // namespace potluck
