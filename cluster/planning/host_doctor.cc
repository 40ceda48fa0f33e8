// Starts `potluck doctor --orders` on a host, and talks with it line by line.
#include "cluster/planning/host_doctor.h"

#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/base/version.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

constexpr double kEndSeconds = 1;  // a program that has closed its stdout is about to end

Fix install_fix() {
  return Fix{std::string("install ") + kSoftware + " there, as this machine has it"};
}

}  // namespace

HostDoctor::HostDoctor(const HostSpec& host, const std::string& program, const RemoteShell& shell)
    : ssh_(host.ssh), shell_(shell) {
  const bool here = ssh_.empty();
  words_ = {here || host.program.empty() ? "potluck" : host.program, "doctor", "--orders"};
  child_ = here ? std::make_unique<ChildProcess>(program, words_) : shell_.start(ssh_, words_);
}

Fault HostDoctor::failure() {
  child_->wait_until(now() + from_seconds(kEndSeconds));
  if (ssh_.empty())
    return Fault(FaultKind::world,
                 "the doctor of this host " + child_->ending() + ": " + child_->last_words());
  const Fault fault = shell_.failure(ssh_, words_, *child_);
  return fault.fix().text.empty() ? Fault(fault.kind(), fault.text(), install_fix()) : fault;
}

void HostDoctor::order(const ordered_json& order) {
  if (!child_->say(order.dump())) throw failure();
}

ordered_json HostDoctor::answer(double seconds) {
  const std::optional<std::string> line = child_->line(now() + from_seconds(seconds));
  if (!line) throw failure();
  const ordered_json answer = ordered_json::parse(*line, nullptr, false);
  if (answer.is_discarded() || !answer.is_object())
    throw Fault(FaultKind::world,
                "its doctor says \"" + line->substr(0, 80) + "\", which is no answer",
                install_fix());
  if (answer.contains("problem"))
    throw Fault(FaultKind::world, answer.at("problem").get<std::string>(),
                Fix{answer.value("fix", "")});
  return answer;
}

ordered_json HostDoctor::ask(const ordered_json& question, double seconds) {
  order(question);
  return answer(seconds);
}

}  // namespace potluck
