// Turns words into what CLI11 reads, and its errors into one line each, with a suggestion where a
// word is misspelt.
#include "cluster/cli/usage.h"

#include <CLI/CLI.hpp>
#include <string_view>
#include <vector>

#include "topology/base/suggest.h"

namespace potluck {
namespace {

constexpr size_t kLongFlag = 4;  // "--" and two letters; a shorter flag resembles all others

// CLI11's words. What a flag lacks is between the last two.
constexpr std::string_view kTwice = ": At Most 1 required", kLacks = ": 1 required ",
                           kMissing = " missing";

// Finds the innermost command that was named.
const CLI::App& chosen(const CLI::App& app) {
  const std::vector<CLI::App*> named = app.get_subcommands();
  return named.empty() ? app : chosen(*named[0]);
}

std::string full_name(const CLI::App& app) {
  return (app.get_parent() ? full_name(*app.get_parent()) + " " : "") + app.get_name();
}

std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& names) {
  const std::vector<std::string_view> known(names.begin(), names.end());
  return "; " + suggestion(word, known);
}

std::string unknown(const CLI::App& command, const std::string& word) {
  const std::string help = "; see " + full_name(command) + " --help";
  const bool flag = word.size() > 1 && word[0] == '-';
  if (!flag && !command_names(command).empty())
    return "unknown command " + word + did_you_mean(word, command_names(command));
  if (!flag) return "\"" + word + "\" follows no flag" + help;
  const std::string name = word.substr(0, word.find('='));
  const std::string meant = name.size() >= kLongFlag ? did_you_mean(name, flag_names(command)) : "";
  return "unknown flag " + name + (meant.rfind("; did", 0) == 0 ? meant : help);
}

// CLI11 names a flag by its long name; people know -n better than --predict.
std::string with_short_name(const CLI::App& command, const std::string& what) {
  const CLI::Option* flag = command.get_option_no_throw(what.substr(0, what.find_first_of(": ")));
  return flag && !flag->get_snames().empty() ? "-" + flag->get_snames()[0] + ", " + what : what;
}

}  // namespace

std::vector<std::string> command_words(int argc, const char* const* argv) {
  std::vector<std::string> words;
  for (int i = argc - 1; i > 0; --i) {
    const std::string word = argv[i];
    words.push_back(word == "-ngl" || word.rfind("-ngl=", 0) == 0 ? "-" + word : word);
  }
  return words;
}

std::string usage_line(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = chosen(app);
  const std::string who = "potluck: ";
  const std::vector<std::string> strangers = app.remaining(true);
  if (!strangers.empty()) return who + unknown(command, strangers[0]);
  const bool unfinished = !command_names(command).empty() && command.get_subcommands().empty();
  if (unfinished) return who + "a command is missing" + did_you_mean("", command_names(command));
  std::string what = error.what();
  if (const size_t at = what.find(kTwice); at != std::string::npos)
    what = what.substr(0, at) + " is given more than once";
  if (const size_t at = what.find(kLacks); at != std::string::npos && what.ends_with(kMissing))
    what.replace(at, kLacks.size(), ": ").insert(what.size() - kMissing.size(), " is");
  for (size_t at; (at = what.find('\n')) != std::string::npos;) what.replace(at, 1, " ");
  return who + with_short_name(command, what) + "; see " + full_name(command) + " --help";
}

}  // namespace potluck
