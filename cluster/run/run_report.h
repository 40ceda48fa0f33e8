// What a run says of itself: figures as they happened, then the steady rate, labelled.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "coordinator/pipeline.h"

namespace potluck {

// Lines for people: what happened; then K, t and the steady rate; then the links; then, if the
// answer is cut, why. wanted: -n.
std::vector<std::string> report_lines(const RequestResult& result, const Plan& plan, int canvas,
                                      int wanted);
// One line after each answer of a chat, and another if it is cut.
std::vector<std::string> chat_report_lines(const RequestResult& result, int wanted);
nlohmann::json report_json(const RequestResult& result, const Plan& plan, int canvas);

}  // namespace potluck
