// The prompt of one answer: where it comes from, and what it is as ids.
#pragma once

#include <string>
#include <vector>

#include "cluster/run/run_flags.h"
#include "coordinator/text/tokenizer.h"
#include "topology/model/model_spec.h"

namespace potluck {

// -p, -f, or stdin to its end. Throws Fault{input} for an empty one, and for invalid UTF-8 with
// the offset of the byte.
std::string read_prompt(const RunFlags& flags);
// Throws Fault{input}: where is what the text is called.
void check_utf8(const std::string& text, const std::string& where);

// BOS and the prompt (--raw), or the chat format.
std::vector<int32_t> prompt_ids(const std::string& prompt, const RunFlags& flags,
                                const Tokenizer& tokenizer, const ModelSpec& spec);

}  // namespace potluck
