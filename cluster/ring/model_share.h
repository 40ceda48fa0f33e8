// Gives other machines the bytes of a model that is here, over the control channel.
//
// Verbs: "model-files" {} is answered {"name", "files": [{"name", "bytes", "checksum"}]};
// "model-read" {"file", "begin", "bytes"} is answered {"digest"} with the bytes behind it.
#pragma once

#include <cstdint>

#include "topology/hub/local_files.h"
#include "transport/control/control_server.h"

namespace potluck {

inline constexpr uint64_t kShareBytesMax = 256 << 10;  // that one "model-read" may ask for

// Adds the verbs for machines that the server knows. files must outlive the server.
void share_model(ControlServer& server, LocalFiles& files);

}  // namespace potluck
