// What this build calls itself, in --version and in every Hello.
#pragma once

namespace potluck {
inline constexpr char kVersion[] = "0.1.0";
inline constexpr char kSoftware[] = "potluck 0.1.0";
}  // namespace potluck
