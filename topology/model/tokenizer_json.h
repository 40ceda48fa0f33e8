// tokenizer.json (Hugging Face's form of a BPE) as a Vocabulary.
#pragma once

#include <string>

#include "topology/model/model_source.h"

namespace potluck {

// Messages call the text `file`. The model's table E has `rows` rows: a token with an id past them
// is refused, and ids that no token has are unused ones. Throws Fault{input, …, file}.
Vocabulary parse_tokenizer_json(const std::string& text, const std::string& file, int rows);

}  // namespace potluck
