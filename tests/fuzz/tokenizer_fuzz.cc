// A tokenizer.json: read, and put to use in both directions.
#include <string>

#include "coordinator/text/tokenizer.h"
#include "tests/fuzz/refused.h"
#include "topology/model/tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace potluck;
  constexpr int kRows = 64;
  const std::string text(reinterpret_cast<const char*>(data), size);
  refused([&] {
    const Tokenizer tokenizer(parse_tokenizer_json(text, "tokenizer.json", kRows));
    const auto ids = tokenizer.encode("abc abc <eos>\n\xC3\xBC" + text.substr(0, 200));
    for (int32_t id : ids) CHECK(id >= 0 && id < kRows, id);
    StreamDecoder decoder(tokenizer, false);
    std::string pieces;
    for (int32_t id : ids) pieces += decoder.push(id);
    CHECK(pieces + decoder.finish() == tokenizer.decode(ids), text);
  });
  return 0;
}
