// Times, rates and other measures as people write them: "0.3ms", "940mbit", "2.5 Gbit/s", "250W".
#pragma once

#include <string>

namespace potluck {

// Units are us, ms, s and m (minutes). Throws Fault{input} for anything else, for 0 and for more
// than an hour.
double parse_ms(const std::string& text);
std::string exact_ms_text(double ms);  // "0.31ms", which parse_ms reads back

// Units are kbit, mbit and gbit, with or without "/s" behind, or kbps, mbps and gbps, in any case.
// Throws Fault{input} for anything else, for 0 and for more than 10 Tbit/s.
double parse_mbit_per_s(const std::string& text);
std::string exact_mbit_text(double mbit_per_s);  // "940mbit", "2.5gbit"

double parse_watts(const std::string& text);  // "250W", "0.3kW": 1 to 10,000

}  // namespace potluck
