// Findings as JSON, and as lines for people.
#include "cluster/planning/finding.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "topology/base/text.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr Severity kSeverities[] = {Severity::note, Severity::warning, Severity::problem};

}  // namespace

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::note:
      return "note";
    case Severity::warning:
      return "warning";
    case Severity::problem:
      return "problem";
  }
  return "";
}

nlohmann::ordered_json finding_json(const Finding& finding) {
  nlohmann::ordered_json json = {{"severity", severity_name(finding.severity)}};
  if (!finding.where.empty()) json["where"] = finding.where;
  json["what"] = finding.what;
  if (!finding.fix.empty()) json["fix"] = finding.fix;
  return json;
}

Finding finding_of(const nlohmann::ordered_json& json) {
  Finding finding;
  const std::string name = json.at("severity");
  for (const Severity severity : kSeverities)
    if (name == severity_name(severity)) finding.severity = severity;
  finding.where = json.value("where", "");
  finding.what = json.at("what");
  finding.fix = json.value("fix", "");
  return finding;
}

namespace {

// One finding for those that differ in their place alone: "desk → nas, lap → nas".
std::vector<Finding> joined(const std::vector<Finding>& findings) {
  std::vector<Finding> all;
  for (const Finding& each : findings) {
    const auto same = std::find_if(all.begin(), all.end(), [&each](const Finding& one) {
      return one.severity == each.severity && one.what == each.what && one.fix == each.fix;
    });
    if (same == all.end())
      all.push_back(each);
    else
      add_to_list(same->where, each.where);
  }
  return all;
}

}  // namespace

std::vector<std::string> finding_lines(std::vector<Finding> findings) {
  findings = joined(findings);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  std::vector<std::string> lines;
  for (const Finding& finding : findings) {
    const std::string where = finding.where.empty() ? "" : finding.where + ": ";
    lines.push_back(std::string(severity_name(finding.severity)) + ": " +
                    one_line(where + finding.what));
    if (!finding.fix.empty()) lines.push_back("  fix: " + one_line(finding.fix));
  }
  return lines;
}

bool has_problem(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& each) { return each.severity == Severity::problem; });
}

}  // namespace potluck
