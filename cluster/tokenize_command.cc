#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cluster/commands.h"
#include "coordinator/tokenizer.h"
#include "topology/fault.h"
#include "topology/utf8.h"

namespace potluck {
namespace {

int run(const std::string& model, bool decode, const ModelPlaces& places) {
  const Tokenizer tokenizer(open_model(model, places)->vocabulary());
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  if (!decode) {
    if (!utf8_valid(input)) throw Fault(FaultKind::input, "stdin is not valid UTF-8");
    std::puts(nlohmann::json{{"ids", tokenizer.encode(input)}}.dump().c_str());
    return 0;
  }
  try {
    const auto ids = nlohmann::json::parse(input).at("ids").get<std::vector<int32_t>>();
    const std::string text = tokenizer.decode(ids);
    std::fwrite(text.data(), 1, text.size(), stdout);
  } catch (const nlohmann::json::exception& error) {
    throw Fault(FaultKind::input, std::string("stdin is not {\"ids\":[…]}: ") + error.what());
  }
  return 0;
}

}  // namespace

void add_tokenize(CommandLine& line) {
  const auto model = std::make_shared<std::string>();
  const auto decode = std::make_shared<bool>(false);
  CLI::App* sub =
      line.app.add_subcommand("tokenize", "stdin, verbatim and without BOS, to {\"ids\":[…]}");
  sub->add_option("-m,--model", *model, "the model")->required();
  sub->add_flag("--decode", *decode, "{\"ids\":[…]} on stdin back to text");
  sub->callback([&line, model, decode] {
    line.chosen = [model, decode, places = line.places] { return run(*model, *decode, places); };
  });
}

}  // namespace potluck
