// The recorded traces under tests/golden, and the models that they are of.
#pragma once

#include <cctype>
#include <ostream>
#include <string>

namespace potluck {

struct Trace {
  const char* model;
  const char* trace;
};

inline constexpr Trace kTraces[] = {{"nano", "nano/trace.json"},
                                    {"nano/model-bf16.gguf", "nano/trace.json"},
                                    {"scaled", "scaled/trace.json"},
                                    {"kquant/model-Q4_K_M.gguf", "kquant/trace-Q4_K_M.json"},
                                    {"../../cluster/demo/sudoku6.gguf", "demo/trace-0.json"},
                                    {"../../cluster/demo/sudoku6.gguf", "demo/trace-1.json"},
                                    {"../../cluster/demo/sudoku9.gguf", "demo9/trace-0.json"},
                                    {"../../cluster/demo/sudoku9.gguf", "demo9/trace-1.json"}};

inline void PrintTo(const Trace& trace, std::ostream* out) {
  *out << trace.model << ", " << trace.trace;
}

// As part of a test's name.
inline std::string test_name(const Trace& trace) {
  std::string name = std::string(trace.model) + trace.trace;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

}  // namespace potluck
