// One message of every kind, with every field set to something of its own.
#pragma once

#include <vector>

#include "transport/message.h"

namespace potluck {

Hello sample_hello();
Plan sample_plan(int stages);
Message sample_message(MessageKind kind);  // with the kind's body, without a payload
std::vector<MessageKind> all_message_kinds();

}  // namespace potluck
