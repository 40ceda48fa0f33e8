// The words of a command line; says in one line what is wrong with them, where, and what to do.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace potluck {

// The words behind the program's name, last first, as CLI11 takes them; with -ngl, which CLI11
// would read as -n gl, as --ngl.
std::vector<std::string> command_words(int argc, const char* const* argv);

// `potluck: unknown flag --promt; did you mean "--prompt"?` An unknown word is named before a
// missing one, because it may be the missing one misspelt.
std::string usage_line(const CLI::App& app, const CLI::ParseError& error);

}  // namespace potluck
