// Finding: one thing that doctor found, and exactly what to do about it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace potluck {

enum class Severity {
  note,     // worth knowing
  warning,  // a ring works, but slower or not for long
  problem,  // it keeps a ring from working
};

struct Finding {
  Severity severity = Severity::note;
  std::string where;  // "nas", "desk → nas"; empty: this machine
  std::string what;   // one line, with the value that was found
  std::string fix;    // commands to type, or what to change where
};

const char* severity_name(Severity severity);

nlohmann::ordered_json finding_json(const Finding& finding);
// Throws nlohmann's exception for what finding_json() did not write.
Finding finding_of(const nlohmann::ordered_json& json);

// A line for what was found and one for the fix: the problems first, notes last. What was found
// alike at several places has one line.
std::vector<std::string> finding_lines(std::vector<Finding> findings);
bool has_problem(const std::vector<Finding>& findings);

}  // namespace potluck
