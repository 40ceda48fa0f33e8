// tokenizer.json (Hugging Face's form of a BPE) as a Vocabulary.
#pragma once

#include <string>

#include "topology/model_source.h"

namespace potluck {

// name: what messages call it. Throws Fault{input}.
Vocabulary parse_tokenizer_json(const std::string& text, const std::string& name);

}  // namespace potluck
