// Numbers, shapes, sizes and lists as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace potluck {

std::string number_text(double value);                      // "1e+300", not three hundred digits
std::string shape_text(const std::vector<int64_t>& shape);  // "[1408, 2816]"
std::string bytes_text(uint64_t bytes);                     // "1.44 MB" (decimal)
std::string count_text(size_t count, const std::string& what);  // "1 host", "2 hosts"
std::string in_quotes(std::string_view name);                   // with quotation marks around it

// "a" becomes "a, b".
void add_to_list(std::string& list, std::string_view item);

}  // namespace potluck
