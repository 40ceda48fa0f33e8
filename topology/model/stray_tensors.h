// Tensors of a file that the table lacks. A program that leaves one out in silence computes another
// model, so each is known to be harmless, is a copy, or is refused by its name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace potluck {

// Tensors of the vision and audio towers: text does without them.
bool of_other_senses(std::string_view name);

// GGUF's name of the tensor that this one must be a copy of, as the model is tied: "token_embd
// .weight" for "lm_head.weight" and "output.weight", a decoder's for one of the encoder. Empty for
// any other name.
std::string tied_to(std::string_view name);

// A note of how many were left out.
std::string senses_note(size_t tensors);

// Throws Fault{input} that says what the tensor is, as far as its name tells.
[[noreturn]] void refuse_stray(const std::string& name, const std::string& shape,
                               const std::string& file);

}  // namespace potluck
