// tokenizer.json (Hugging Face's form of a BPE) as a Vocabulary.
#pragma once

#include <cstddef>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

// Says that a token past the table was left out.
std::string past_table_note(const std::string& token, size_t id, size_t rows);

// Messages call the text `file`. The model's table E has `rows` rows: ids that no token has are
// unused ones; a token with an id past them is refused, or left out with a note if it is an added
// one, which the model never produces and no plain text holds. What the file asks of a tokenizer is
// held to what potluck's does. Throws Fault{input, …, file}.
Vocabulary parse_tokenizer_json(const std::string& text, const std::string& file, int rows);

}  // namespace potluck
