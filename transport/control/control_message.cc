// Writes and reads the JSON of control messages, whoever sent it.
#include "transport/control/control_message.h"

#include <algorithm>
#include <array>

#include "topology/base/version.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

using Kind = ControlMessage::Kind;

constexpr char kWhere[] = "a control message";
constexpr std::array<std::pair<Kind, const char*>, 6> kKinds = {{{Kind::call, "call"},
                                                                 {Kind::cancel, "cancel"},
                                                                 {Kind::event, "event"},
                                                                 {Kind::reply, "reply"},
                                                                 {Kind::fault, "fault"},
                                                                 {Kind::ping, "ping"}}};
constexpr std::array kFaultKinds = {FaultKind::input,   FaultKind::memory, FaultKind::lost,
                                    FaultKind::refused, FaultKind::world,  FaultKind::canceled};

const char* name_of(Kind kind) {
  return std::find_if(kKinds.begin(), kKinds.end(),
                      [&](const auto& each) { return each.first == kind; })
      ->second;
}

Kind kind_of(const JsonFields& fields) {
  const std::string name = fields.text("kind");
  for (const auto& [kind, each] : kKinds)
    if (name == each) return kind;
  fields.refuse("its kind is \"" + name + "\"");
}

void check_bytes(size_t found, size_t most, const char* what) {
  if (found > most)
    throw Fault(FaultKind::input, std::string(kWhere) + " has " + std::to_string(found) +
                                      " bytes " + what + ", at most " + std::to_string(most));
}

void check_version(const JsonFields& fields) {
  const int version = fields.integer("control");
  if (version == kControlVersion) return;
  throw Fault(FaultKind::refused,
              fields.text("software") + " speaks version " + std::to_string(version) +
                  " of the control channel, and " + kSoftware + " here version " +
                  std::to_string(kControlVersion),
              Fix{"install the same version of potluck on both machines"});
}

FaultKind fault_kind(const std::string& name) {
  const auto* const found =
      std::find_if(kFaultKinds.begin(), kFaultKinds.end(),
                   [&](FaultKind kind) { return name == fault_kind_name(kind); });
  return found == kFaultKinds.end() ? FaultKind::world : *found;
}

}  // namespace

std::string control_text(const ControlMessage& message) {
  nlohmann::json json = {{"control", kControlVersion},
                         {"software", kSoftware},
                         {"kind", name_of(message.kind)},
                         {"call", message.call},
                         {"body", message.body}};
  if (message.kind == Kind::call) json["verb"] = message.verb;
  std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  check_bytes(text.size(), kControlTextMax, "of JSON");
  check_bytes(message.bytes.size(), kControlBytesMax, "behind its JSON");
  return text;
}

ControlMessage control_message(std::string_view text, std::string bytes) {
  check_bytes(text.size(), kControlTextMax, "of JSON");
  check_bytes(bytes.size(), kControlBytesMax, "behind its JSON");
  const nlohmann::json json = parse_json(text, kWhere);
  const JsonFields fields(json, kWhere);
  check_version(fields);
  ControlMessage message;
  message.kind = kind_of(fields);
  message.call = static_cast<uint64_t>(fields.integer("call"));
  if (message.kind == Kind::call) message.verb = fields.text("verb");
  message.body = fields.at("body");
  if (!message.body.is_object()) fields.refuse("its body is no object");
  message.bytes = std::move(bytes);
  return message;
}

nlohmann::json fault_json(const Fault& fault) {
  return {{"kind", fault_kind_name(fault.kind())},
          {"text", fault.text()},
          {"fix", fault.fix().text},
          {"setting", static_cast<int>(fault.fix().setting)},
          {"where", fault.where()}};
}

Fault fault_of(const nlohmann::json& body) {
  const JsonFields fields(body, kWhere);
  const int setting = fields.integer("setting");
  const bool known = setting >= 0 && setting <= static_cast<int>(kLastSetting);
  return Fault(fault_kind(fields.text("kind")), fields.text("text"),
               Fix{fields.text("fix"), known ? static_cast<Setting>(setting) : Setting::none},
               fields.text("where"));
}

}  // namespace potluck
