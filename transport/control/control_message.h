// ControlMessage: what clients and a coordinator that stays say to each other beside a ring: calls,
// and what becomes of them. One is a frame of JSON, and perhaps a frame of bytes behind it:
//
//   {"control": 1, "software": "potluck 0.1.0", "kind": "call", "call": 7, "verb": "status",
//    "body": {…}}
//
// A client numbers its calls. Each gets any number of events and then a reply or a fault, unless it
// is canceled. A ping says that the other side is alive.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "topology/base/fault.h"

namespace potluck {

inline constexpr int kControlVersion = 2;
inline constexpr size_t kControlTextMax = 1 << 20;   // of a message's JSON
inline constexpr size_t kControlBytesMax = 8 << 20;  // of what is behind it

// Faults call a reply by this name.
inline constexpr char kCoordinatorAnswer[] = "the coordinator's answer";

struct ControlMessage {
  enum class Kind { call, cancel, event, reply, fault, ping };
  Kind kind = Kind::ping;
  uint64_t call = 0;
  std::string verb;  // of a call
  nlohmann::json body = nlohmann::json::object();
  std::string bytes;  // of a call, an event or a reply; may be empty
};

// The JSON of it. Throws Fault{input} for a message past the limits.
std::string control_text(const ControlMessage& message);
// Throws Fault{input} for what is no message, and Fault{refused} for one of another version.
ControlMessage control_message(std::string_view text, std::string bytes);

// A fault as the body of a message, and back.
nlohmann::json fault_json(const Fault& fault);
Fault fault_of(const nlohmann::json& body);

}  // namespace potluck
