// Reports a run: the figures as they happened, then the steady rate, labelled.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "coordinator/request.h"
#include "coordinator/text/answer_text.h"

namespace potluck {

// Lines for people: what happened; K, t and the steady rate; the links; what it waited for when the
// ring was disturbed, part by part; and, if the answer is cut off, why. `wanted` is the value of
// -n.
std::vector<std::string> report_lines(const RequestResult& result, const Plan& plan, int canvas,
                                      int wanted);
// One line after each answer of a chat, and another if it is cut off.
std::vector<std::string> chat_report_lines(const RequestResult& result, int wanted);
// Says that an answer is empty, and why; empty if it is not.
std::string empty_line(const RequestResult& result, const AnswerText& text);
nlohmann::json report_json(const RequestResult& result, const Plan& plan, int canvas);

}  // namespace potluck
