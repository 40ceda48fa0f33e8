// Says in one line what is wrong with a command line, where, and what to do.
#pragma once

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace potluck {

// `potluck: unknown flag --promt; did you mean "--prompt"?` An unknown word is named before a
// missing one, because it may be the missing one misspelt.
std::string usage_line(const CLI::App& app, const CLI::ParseError& error);

}  // namespace potluck
