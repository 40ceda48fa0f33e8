// potluck tokenize: turns the text on stdin into ids, or ids back into text.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/cli/commands.h"
#include "coordinator/text/tokenizer.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/locator.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

constexpr uint64_t kStdinBytesMax = 256u << 20;  // ids take several times the bytes of their text

// Reads the ids of {"ids":[…]}. Throws Fault{input} that names the first value that is no id.
std::vector<int32_t> read_ids(const std::string& input, int vocab) {
  const nlohmann::json root = nlohmann::json::parse(input, nullptr, false);
  if (root.is_discarded()) throw Fault(FaultKind::input, "stdin is not JSON; give {\"ids\":[1,2]}");
  if (!root.is_object() || !root.contains("ids") || !root["ids"].is_array())
    throw Fault(FaultKind::input, "stdin has no list \"ids\"; give {\"ids\":[1,2]}");
  std::vector<int32_t> ids;
  for (const nlohmann::json& id : root["ids"]) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(vocab))
      throw Fault(FaultKind::input, fmt::format("stdin: ids[{}] is {}; an id of this model is a "
                                                "whole number from 0 to {}",
                                                ids.size(), id.dump(), vocab - 1));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

int run_tokenize(const std::string& model, bool decode, const ModelPlaces& places) {
  const Tokenizer tokenizer(open_model(model, places)->vocabulary());
  for (const std::string& note : tokenizer.notes())
    std::fprintf(stderr, "%s\n", one_line(note).c_str());
  const std::string input = read_stdin(kStdinBytesMax);
  if (!decode) {
    if (!utf8_valid(input)) throw Fault(FaultKind::input, "stdin is not valid UTF-8");
    std::puts(nlohmann::json{{"ids", tokenizer.encode(input)}}.dump().c_str());
    return 0;
  }
  std::string text = tokenizer.decode(read_ids(input, tokenizer.size()));
  if (isatty(STDOUT_FILENO)) text = harmless(text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace

void add_tokenize(CommandLine& line) {
  const auto model = std::make_shared<std::string>();
  const auto decode = std::make_shared<bool>(false);
  CLI::App* sub = line.app.add_subcommand(
      "tokenize", "turn the text on stdin into {\"ids\":[…]}, verbatim and without BOS");
  sub->add_option("-m,--model", *model, "the model (see run --help)")
      ->required()
      ->type_name("MODEL");
  sub->add_flag("--decode", *decode, "turn {\"ids\":[…]} on stdin back into text");
  sub->callback([&line, model, decode] {
    line.chosen = [model, decode, places = line.places] {
      return run_tokenize(*model, *decode, places);
    };
  });
}

}  // namespace potluck
