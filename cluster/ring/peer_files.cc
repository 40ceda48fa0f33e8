// Asks a peer for a model's files, and for several ranges ahead, so that the line is never idle.
#include "cluster/ring/peer_files.h"

#include <algorithm>
#include <deque>

#include "cluster/ring/model_share.h"
#include "topology/base/fault.h"
#include "topology/model/fingerprint.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

constexpr double kAnswerSeconds = 30;
constexpr size_t kContentDigits = 16, kCommitDigits = 40;
constexpr size_t kAhead = 8;  // calls that wait for their answers
// Of one call. An answer that is cut is lost, and around each lie some 300 bytes.
constexpr uint64_t kCallLeast = 32 << 10, kCalls = 256;

ModelFile read_file(const nlohmann::json& entry, const std::string& peer) {
  const JsonFields fields(entry, peer);
  const std::string name = fields.text("name");
  if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos)
    fields.refuse("\"" + name + "\" is no name of a file");
  const nlohmann::json& bytes = fields.at("bytes");
  if (!bytes.is_number_unsigned()) fields.refuse("\"bytes\" is " + json_excerpt(bytes));
  return {name, bytes.get<uint64_t>(), fields.text("checksum")};
}

// A folder here is named by it.
std::string hex_digits(const JsonFields& fields, const std::string& key, size_t count) {
  const std::string text = fields.text(key);
  if (text.size() != count || text.find_first_not_of("0123456789abcdef") != std::string::npos)
    fields.refuse("\"" + key + "\" is no " + std::to_string(count) + " hex digits");
  return text;
}

}  // namespace

PeerFiles::PeerFiles(Address peer, std::function<LockKeys()> keys,
                     std::function<std::string()> state)
    : peer_(std::move(peer)),
      keys_(std::move(keys)),
      state_(std::move(state)),
      client_(std::make_unique<ControlClient>(peer_, keys_)) {
  const ControlMessage reply =
      client_->ask("model-files", nlohmann::json::object(), kAnswerSeconds);
  const JsonFields fields(reply.body, peer_.endpoint);
  const nlohmann::json& files = fields.at("files");
  if (!files.is_array() || files.empty()) fields.refuse("\"files\" is " + json_excerpt(files));
  for (const nlohmann::json& entry : files) files_.push_back(read_file(entry, peer_.endpoint));
  content_ = hex_digits(fields, "content", kContentDigits);
  commit_ = fields.text("commit").empty() ? "" : hex_digits(fields, "commit", kCommitDigits);
}

ReadEnd PeerFiles::read(size_t file, ByteRange range, const ByteSink& sink) {
  try {
    if (!client_) client_ = std::make_unique<ControlClient>(peer_, keys_);
    const ReadEnd end = read_parts(file, range, sink);
    if (!end.broken.empty()) client_.reset();
    return end;
  } catch (const Fault& fault) {
    client_.reset();
    if (fault.kind() != FaultKind::lost) throw;
    return {fault.text(), {}};
  }
}

ReadEnd PeerFiles::read_parts(size_t file, ByteRange range, const ByteSink& sink) {
  const uint64_t each = std::clamp(range.bytes / kCalls, kCallLeast, kShareBytesMax);
  struct Asked {
    uint64_t call = 0, bytes = 0;
  };
  std::deque<Asked> calls;
  for (uint64_t left = range.bytes; left > 0 || !calls.empty();) {
    while (left > 0 && calls.size() < kAhead) {
      const uint64_t bytes = std::min(left, each);
      calls.push_back({client_->call("model-read", {{"file", file},
                                                    {"begin", range.begin},
                                                    {"bytes", bytes},
                                                    {"state", state_ ? state_() : ""}}),
                       bytes});
      range.begin += bytes;
      left -= bytes;
    }
    const auto message = client_->wait(now() + from_seconds(kAnswerSeconds));
    if (!message) return {"no answer in time", {}};
    if (message->kind == ControlMessage::Kind::fault) throw fault_of(message->body);
    const Asked asked = calls.front();
    if (message->call != asked.call) return {"the answers are not in order", {}};
    calls.pop_front();
    const std::string& bytes = message->bytes;
    if (bytes.size() != asked.bytes) return {"the answer has not as many bytes as were asked", {}};
    if (JsonFields(message->body, peer_.endpoint).text("digest") !=
        digest_text(digest_bytes(bytes.data(), bytes.size())))
      return {"a byte changed on the way", {}};
    sink(std::as_bytes(std::span(bytes)));
  }
  return {};
}

}  // namespace potluck
