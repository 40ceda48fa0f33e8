// The prompt of one answer, as text and as ids.
#pragma once

#include <string>
#include <vector>

#include "cluster/run/run_flags.h"
#include "coordinator/text/tokenizer.h"
#include "topology/model/model_spec.h"

namespace potluck {

// The text of -p, or of -f (a file or a pipe) or stdin to its end and without a byte order mark.
// Throws Fault{input} for an empty one, and for invalid UTF-8 with the offset of the byte.
std::string read_prompt(const RunFlags& flags);
// Throws Fault{input} for invalid UTF-8, naming the place `where` and the byte.
void check_utf8(const std::string& text, const std::string& where);

// The prompt in the chat format, or behind BOS alone (--raw).
std::vector<int32_t> prompt_ids(const std::string& prompt, const RunFlags& flags,
                                const Tokenizer& tokenizer, const ModelSpec& spec);

}  // namespace potluck
