// Says which keys the links of a plan are locked with.
#pragma once

#include <functional>

#include "topology/plan/plan.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {

inline constexpr char kPlainLinks[] =
    "links over TCP are not locked: whoever can reach them may read and change what passes";

// Gives workers of this machine its key, if anything of the plan goes over TCP. Throws Fault{input}
// for one on another machine without a key; or, for plain links, with one.
void name_keys(Plan& plan, const std::function<LockKeys()>& own_keys, bool plain);

// Whether other machines, or other users of this one, can reach one of the plan's workers.
bool has_tcp(const Plan& plan);

}  // namespace potluck
