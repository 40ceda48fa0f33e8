// Statistics that several commands print.
#pragma once

#include <vector>

namespace potluck {

double median(std::vector<double> values);  // 0 for an empty list

}  // namespace potluck
