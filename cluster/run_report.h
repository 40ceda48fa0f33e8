// What a run says of itself: figures as they happened, then the steady rate, labelled.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coordinator/pipeline.h"

namespace potluck {

double median(std::vector<double> values);  // 0 of none
// Lines for people.
std::vector<std::string> report_lines(const RequestResult& result, const Plan& plan, int canvas);
nlohmann::json report_json(const RequestResult& result, const Plan& plan, int canvas);

}  // namespace potluck
