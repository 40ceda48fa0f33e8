// `up` tells people of a ring, or of the lack of one.
#pragma once

#include <string>
#include <vector>

#include "cluster/launch/up_flags.h"
#include "cluster/launch/up_plan.h"
#include "topology/plan/plan.h"

namespace potluck {

// A line for each worker of `plan`, and what a step is expected to take.
std::vector<std::string> ring_lines(const UpPlan& up, const Plan& plan);

// Both end with what to type next. elsewhere: the flags of `run` on other machines (reach_words);
// empty where they may not call.
std::string up_text(const UpFlags& flags, const UpPlan& up, const Plan& plan,
                    const std::string& elsewhere);
std::string waiting_text(const UpFlags& flags, const UpPlan& up, const std::string& missing);

}  // namespace potluck
