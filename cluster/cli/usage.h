// A wrong command line in one line: what is wrong, where, and what to do.
#pragma once

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace potluck {

// `potluck: there is no flag --promt; did you mean "--prompt"?` What nobody knows is named
// before what is missing, for it may be the missing one misspelt.
std::string usage_line(const CLI::App& app, const CLI::ParseError& error);

}  // namespace potluck
