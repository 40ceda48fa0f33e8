// Holds each key of config.json and generation_config.json to what potluck computes, as
// gguf_keys.h does with a GGUF's.
#pragma once

#include <string>
#include <vector>

#include "topology/model/json_text.h"

namespace potluck {

// Throws Fault{input} for a config of another model, of quantized weights, or with a key of the
// text model that asks for something else or that potluck does not know. Returns a note for each
// key at the root that it does not know.
std::vector<std::string> check_config_keys(const JsonFields& config, const JsonFields& text);

void check_generation_keys(const JsonFields& generation);

// tie_word_embeddings, wherever it stands. An untied model has tensors of its own, so whoever reads
// those refuses it, by their names where there are any.
bool is_tied(const JsonFields& config, const JsonFields& text);

}  // namespace potluck
