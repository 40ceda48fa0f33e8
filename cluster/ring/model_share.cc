// Answers calls for a model's files and for ranges of them.
#include "cluster/ring/model_share.h"

#include <filesystem>

#include "cluster/ring/address.h"
#include "cluster/ring/ring_plan.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/fingerprint.h"
#include "topology/model/hf_cache.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

constexpr char kRead[] = "model-read";
constexpr size_t kStateMax = 100;                           // letters of "state" that are shown
constexpr double kToldSeconds = 2;                          // between two of them
constexpr Duration kLook = std::chrono::milliseconds(100);  // how often a sharer looks for its end

// In the cache, the folder of a file is named by the commit.
std::string commit_of(const LocalFiles& model) {
  const std::filesystem::path folder = std::filesystem::path(model.name()).parent_path();
  const bool cached = folder.parent_path().filename() == "snapshots" ||
                      folder.parent_path().filename() == kPartialFolder;
  return cached ? folder.filename().string() : "";
}

nlohmann::json describe(const SharedModel& model) {
  nlohmann::json files = nlohmann::json::array();
  for (const ModelFile& file : model.files.files())
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"checksum", file.checksum}});
  return {{"content", model.content}, {"commit", commit_of(model.files)}, {"files", files}};
}

struct Wanted {
  size_t file = 0;
  ByteRange range;
};

Wanted read_wanted(const nlohmann::json& body, const LocalFiles& model) {
  const JsonFields fields(body, kRead);
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

bool has_files(const std::string& locator) {
  return !is_demo(locator) && !locator.starts_with("synthetic:");
}

SharedModel shared_model(const std::string& locator, const ModelPlaces& places) {
  const std::string path =
      locator.starts_with("hf:") ? find_cached(locator.substr(3), places.hub).path : locator;
  const Fingerprint model = fingerprint_of(*open_model(path, places));
  Digest content = digest_bytes(&model.head, sizeof(model.head), model.spec);
  for (const Digest layer : model.layers) content = digest_bytes(&layer, sizeof(layer), content);
  return {LocalFiles(path), digest_text(content)};
}

void share_model(ControlServer& server, SharedModel& model, ShareRules rules) {
  const auto check = [may = rules.check](const ControlCall& call) {
    if (may && !call.key().empty()) may(call.key());
  };
  server.on("model-files", rules.callers,
            [&model, check](const std::shared_ptr<ControlCall>& call) {
              check(*call);
              call->reply(describe(model));
            });
  server.on(kRead, rules.callers, [&model, check, rules](const std::shared_ptr<ControlCall>& call) {
    check(*call);
    answer_read(*call, model.files);
    const std::string state = JsonFields(call->body(), kRead).text("state");
    if (rules.told && !state.empty()) rules.told(call->key(), state);
  });
}

ModelSharer::ModelSharer(SharedModel model, std::pair<int, int> ports,
                         std::function<LockKeys()> keys,
                         std::function<void(const std::string& line)> say)
    : model_(std::move(model)), keys_(std::move(keys)), say_(std::move(say)), server_({keys_, {}}) {
  share_model(server_, model_,
              {ControlCallers::anyone, [this](const std::string& key) { check(key); },
               [this](const std::string& key, const std::string& state) { told(key, state); }});
  listen(ports);
  thread_ = std::thread([this] {
    while (!ending_) server_.serve(now() + kLook);
  });
}

void ModelSharer::listen(std::pair<int, int> ports) {
  const auto [first, last] = ports;
  for (int port = last;; --port) try {
      const std::string wanted = port == 0 ? "*" : std::to_string(port);
      port_ = parse_endpoint(server_.listen("tcp://*:" + wanted)).value().port;
      return;
    } catch (const Fault& fault) {
      if (fault.kind() != FaultKind::world || port <= first) throw;
    }
}

ModelSharer::~ModelSharer() {
  ending_ = true;
  thread_.join();
}

Address ModelSharer::address_for(const std::string& endpoint) const {
  return {"tcp://" + address_towards(endpoint) + ":" + std::to_string(port_), keys_().public_key};
}

void ModelSharer::allow(const std::string& key, const std::string& worker) {
  const std::lock_guard<std::mutex> lock(mutex_);
  readers_[key] = {worker};
}

void ModelSharer::check(const std::string& key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!readers_.count(key))
    throw Fault(FaultKind::refused, "this machine gives its model to the cluster's workers alone");
}

void ModelSharer::told(const std::string& key, const std::string& state) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Reader& reader = readers_.at(key);
  if (now() - reader.told < from_seconds(kToldSeconds)) return;
  reader.told = now();
  say_(reader.worker + " fetches its part of the model: " + one_line(state).substr(0, kStateMax));
}

}  // namespace potluck
