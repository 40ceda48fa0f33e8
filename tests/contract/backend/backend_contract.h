// The promises of backends/backend.h as one suite of checks for every kind of backend. A check
// returns what it found wrong instead of failing a test, so that a test can also demand that a
// broken backend is found out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"

namespace potluck {

struct BackendKind {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
  // Its bits are those of the reference; else each result has a tolerance, which is derived beside
  // the comparison.
  bool exact = true;
  bool here = true;  // this machine can make one
  bool emulated = false;
};

using Findings = std::vector<std::string>;  // a sentence for each thing that is wrong

struct BackendCheck {
  std::string name;
  Findings (*run)(const BackendKind& kind);
};

// The checks of each file, and all of them.
std::vector<BackendCheck> memory_checks();
std::vector<BackendCheck> row_checks();
std::vector<BackendCheck> product_checks();
std::vector<BackendCheck> attention_checks();
std::vector<BackendCheck> head_checks();
std::vector<BackendCheck> backend_checks();

// Every kind of backend that there is.
std::vector<BackendKind> backend_kinds();

// For a readable list of tests.
inline void PrintTo(const BackendKind& kind, std::ostream* out) {
  *out << kind.name;
}

}  // namespace potluck
