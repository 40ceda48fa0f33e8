// Sizes as people write them: "6GiB", "500 MB", "1.5GB", "4096".
#pragma once

#include <cstdint>
#include <string>

namespace potluck {

inline constexpr uint64_t kBytesMax = uint64_t{1} << 50;  // 1 PiB: more is a slip of the hand

// Units are B, KB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB (of 1024), in any case; none
// is bytes. Throws Fault{input} for anything else, for 0 and above kBytesMax.
uint64_t parse_bytes(const std::string& text);

// The shortest text that parse_bytes reads back as the same number: "6GiB", "500MB", "1234567".
std::string exact_bytes_text(uint64_t bytes);

}  // namespace potluck
