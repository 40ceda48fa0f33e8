// Answers calls for a model's files and for ranges of them.
#include "cluster/ring/model_share.h"

#include "topology/base/fault.h"
#include "topology/model/fingerprint.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

nlohmann::json describe(const LocalFiles& model) {
  nlohmann::json files = nlohmann::json::array();
  for (const ModelFile& file : model.files())
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"checksum", file.checksum}});
  return {{"name", model.name()}, {"files", files}};
}

struct Wanted {
  size_t file = 0;
  ByteRange range;
};

Wanted read_wanted(const nlohmann::json& body, const LocalFiles& model) {
  const JsonFields fields(body, "model-read");
  const auto number = [&](const char* key) {
    const nlohmann::json& value = fields.at(key);
    if (!value.is_number_unsigned()) fields.refuse("\"" + std::string(key) + "\" is no number");
    return value.get<uint64_t>();
  };
  const Wanted wanted{number("file"), {number("begin"), number("bytes")}};
  if (wanted.file >= model.files().size()) fields.refuse("there is no such file");
  const uint64_t size = model.files()[wanted.file].bytes;
  if (wanted.range.bytes == 0 || wanted.range.bytes > kShareBytesMax || wanted.range.begin > size ||
      wanted.range.bytes > size - wanted.range.begin)
    fields.refuse("the range is not within the file's " + std::to_string(size) + " bytes, or has " +
                  "more than " + std::to_string(kShareBytesMax));
  return wanted;
}

void answer_read(ControlCall& call, LocalFiles& model) {
  const Wanted wanted = read_wanted(call.body(), model);
  std::string bytes;
  model.read(wanted.file, wanted.range, [&](std::span<const std::byte> part) {
    const size_t at = bytes.size();
    bytes.resize(at + part.size());
    std::copy(part.begin(), part.end(), std::as_writable_bytes(std::span(bytes)).begin() + at);
  });
  const std::string digest = digest_text(digest_bytes(bytes.data(), bytes.size()));
  call.reply({{"digest", digest}}, std::move(bytes));
}

}  // namespace

void share_model(ControlServer& server, LocalFiles& files) {
  server.on("model-files", ControlCallers::known,
            [&files](const std::shared_ptr<ControlCall>& call) { call->reply(describe(files)); });
  server.on("model-read", ControlCallers::known,
            [&files](const std::shared_ptr<ControlCall>& call) { answer_read(*call, files); });
}

}  // namespace potluck
