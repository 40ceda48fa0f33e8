// Spans of time as people write them.
#pragma once

#include <cstdint>
#include <string>

namespace potluck {

// "30m", "24h" or "7d" in seconds. Throws Fault{input} for another text, and for more than a year.
int64_t parse_ttl(const std::string& text);
// "3 days", "5 hours", "12 minutes", rounded down; "a moment" for less than a minute.
std::string span_text(int64_t seconds);

}  // namespace potluck
