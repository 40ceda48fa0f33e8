// The name and version that this build gives itself wherever it is asked, and in every Hello.
#pragma once

namespace potluck {
inline constexpr char kVersion[] = "0.1.0";
inline constexpr char kSoftware[] = "potluck 0.1.0";
}  // namespace potluck
