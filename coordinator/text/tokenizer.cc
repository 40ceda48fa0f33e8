// Splits text into symbols and merges them by rank with a heap, and turns ids back into text.
#include "coordinator/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <queue>

#include "topology/base/fault.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr char kSpace[] = "\xE2\x96\x81";  // U+2581

struct Merge {
  int32_t rank;
  int32_t id;
};

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// merge 47 ("q" "z")
std::string merge_text(const Vocabulary& vocabulary, size_t rank) {
  const auto& [left, right] = vocabulary.merges[rank];
  return "merge " + std::to_string(rank) + " (\"" + left + "\" \"" + right + "\")";
}

}  // namespace

struct Tokenizer::Tables {
  std::vector<std::string> tokens;
  std::vector<TokenType> types;
  std::unordered_map<std::string, int32_t> ids;
  std::unordered_map<uint64_t, Merge> merges;
  std::array<int32_t, 256> byte_ids{};
  std::unordered_map<int32_t, uint8_t> bytes_of_id;
  // By first byte, so that plain text costs one look for each byte; longest text first.
  std::array<std::vector<int32_t>, 256> specials;
  int32_t unknown = -1;
  std::vector<std::string> notes;

  bool special(int32_t id) const {
    const TokenType type = types[id];
    return type == TokenType::control || type == TokenType::user_defined;
  }
  void index();
  void index_merges(const Vocabulary& vocabulary);
  void append_symbol(const std::string& symbol, std::vector<int32_t>& out) const;
  void encode_plain(std::string_view text, std::vector<int32_t>& out) const;
};

void Tokenizer::Tables::index() {
  byte_ids.fill(-1);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    ids[tokens[i]] = id;  // of duplicates the later one wins (shard/MODEL.md §7.1)
    if (special(id) && !tokens[i].empty())
      specials[static_cast<uint8_t>(tokens[i][0])].push_back(id);
  }
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", byte);
    const auto found = ids.find(name);
    if (found == ids.end()) continue;
    byte_ids[byte] = found->second;
    bytes_of_id[found->second] = byte;
  }
  if (const auto found = ids.find("<unk>"); found != ids.end()) unknown = found->second;
  for (std::vector<int32_t>& bucket : specials)
    std::stable_sort(bucket.begin(), bucket.end(),
                     [&](int32_t a, int32_t b) { return tokens[a].size() > tokens[b].size(); });
}

// Converters that give a token another text leave its merges behind; nothing can come of them.
void Tokenizer::Tables::index_merges(const Vocabulary& vocabulary) {
  size_t skipped = 0, first = 0;
  for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const auto& [left, right] = vocabulary.merges[rank];
    const auto a = ids.find(left), b = ids.find(right), whole = ids.find(left + right);
    if (a == ids.end() || b == ids.end() || whole == ids.end()) {
      if (skipped++ == 0) first = rank;
      if (vocabulary.skips_merges) continue;
      throw Fault(FaultKind::input,
                  merge_text(vocabulary, rank) + " is of tokens that the vocabulary lacks");
    }
    if (special(whole->second)) continue;  // plain text must never become a special token
    merges.try_emplace(pair_key(a->second, b->second),
                       Merge{static_cast<int32_t>(rank), whole->second});
  }
  if (skipped)
    notes.push_back("skipped " + std::to_string(skipped) + (skipped == 1 ? " merge" : " merges") +
                    " of texts that are no tokens: " + merge_text(vocabulary, first) +
                    (skipped == 1 ? "" : " is the first"));
}

// A code point that is no token falls back to its bytes, or to <unk>.
void Tokenizer::Tables::append_symbol(const std::string& symbol, std::vector<int32_t>& out) const {
  const auto found = ids.find(symbol);
  if (found != ids.end() && !special(found->second)) return out.push_back(found->second);
  const bool all = std::all_of(symbol.begin(), symbol.end(),
                               [&](char c) { return byte_ids[static_cast<uint8_t>(c)] >= 0; });
  if (all)
    for (char c : symbol) out.push_back(byte_ids[static_cast<uint8_t>(c)]);
  else if (out.empty() || out.back() != unknown)
    out.push_back(unknown);
}

namespace {

// Symbols as a linked list over an array, candidate merges in a heap by rank, then place.
class MergeLoop {
 public:
  MergeLoop(std::vector<int32_t> symbols, const std::unordered_map<uint64_t, Merge>& merges)
      : ids_(std::move(symbols)), merges_(merges) {
    const auto n = static_cast<int32_t>(ids_.size());
    for (int32_t i = 0; i < n; ++i) {
      previous_.push_back(i - 1);
      next_.push_back(i + 1 < n ? i + 1 : -1);
    }
    for (int32_t i = 0; i + 1 < n; ++i) offer(i);
  }

  void run(std::vector<int32_t>& out) {
    while (!heap_.empty()) {
      const Candidate c = heap_.top();
      heap_.pop();
      const int32_t right = next_[c.left];
      if (ids_[c.left] != c.left_id || right < 0 || ids_[right] != c.right_id) continue;  // stale
      join(c.left, right, c.id);
    }
    for (int32_t i = ids_.empty() ? -1 : 0; i >= 0; i = next_[i]) out.push_back(ids_[i]);
  }

 private:
  struct Candidate {
    int32_t rank, left, left_id, right_id, id;
    bool operator<(const Candidate& other) const {  // a max-heap: the least rank, leftmost, on top
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };

  void offer(int32_t left) {
    const int32_t right = left < 0 ? -1 : next_[left];
    if (right < 0) return;
    const auto found = merges_.find(pair_key(ids_[left], ids_[right]));
    if (found != merges_.end())
      heap_.push({found->second.rank, left, ids_[left], ids_[right], found->second.id});
  }

  void join(int32_t left, int32_t right, int32_t id) {
    ids_[left] = id;
    ids_[right] = -1;
    next_[left] = next_[right];
    if (next_[right] >= 0) previous_[next_[right]] = left;
    offer(previous_[left]);
    offer(left);
  }

  std::vector<int32_t> ids_, previous_, next_;
  const std::unordered_map<uint64_t, Merge>& merges_;
  std::priority_queue<Candidate> heap_;
};

}  // namespace

void Tokenizer::Tables::encode_plain(std::string_view text, std::vector<int32_t>& out) const {
  std::vector<int32_t> symbols;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = utf8_length(text.substr(at));
    append_symbol(text[at] == ' ' ? std::string(kSpace) : std::string(text.substr(at, bytes)),
                  symbols);
    at += bytes;
  }
  MergeLoop(std::move(symbols), merges).run(out);
}

Tokenizer::Tokenizer(Vocabulary vocabulary) {
  auto tables = std::make_shared<Tables>();
  tables->tokens = std::move(vocabulary.tokens);
  tables->types = std::move(vocabulary.types);
  tables->index();
  const bool bytes = std::all_of(tables->byte_ids.begin(), tables->byte_ids.end(),
                                 [](int32_t id) { return id >= 0; });
  if (!bytes && tables->unknown < 0)
    throw Fault(FaultKind::input,
                "the vocabulary has neither all byte tokens <0x00>…<0xFF> nor <unk>");
  tables->notes = std::move(vocabulary.notes);
  tables->index_merges(vocabulary);
  tables_ = std::move(tables);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool parse_specials) const {
  const Tables& t = *tables_;
  std::vector<int32_t> out;
  size_t plain = 0;
  for (size_t at = 0; parse_specials && at < text.size();) {
    const std::vector<int32_t>& bucket = t.specials[static_cast<uint8_t>(text[at])];
    const auto special = std::find_if(bucket.begin(), bucket.end(), [&](int32_t id) {
      const std::string& token = t.tokens[id];
      return text.compare(at, token.size(), token) == 0;
    });
    if (special == bucket.end()) {
      ++at;
      continue;
    }
    t.encode_plain(text.substr(plain, at - plain), out);
    out.push_back(*special);
    at += t.tokens[*special].size();
    plain = at;
  }
  t.encode_plain(text.substr(plain), out);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_controls) const {
  const Tables& t = *tables_;
  std::string out, bytes;
  const auto flush = [&] {
    if (utf8_valid(bytes))
      out += bytes;
    else
      for (size_t i = 0; i < bytes.size(); ++i) out += "\xEF\xBF\xBD";
    bytes.clear();
  };
  for (int32_t id : ids) {
    if (id < 0 || id >= size())
      throw Fault(FaultKind::input, "id " + std::to_string(id) + " is outside the vocabulary of " +
                                        std::to_string(size()));
    if (const auto byte = t.bytes_of_id.find(id); byte != t.bytes_of_id.end()) {
      bytes += byte->second;
      continue;
    }
    flush();
    if (is_special(id)) {
      if (!skip_controls || t.types[id] != TokenType::control) out += t.tokens[id];
      continue;
    }
    const std::string& token = t.tokens[id];
    for (size_t at = 0; at < token.size();) {
      const bool space = token.compare(at, sizeof(kSpace) - 1, kSpace) == 0;
      out += space ? ' ' : token[at];
      at += space ? sizeof(kSpace) - 1 : 1;
    }
  }
  flush();
  return out;
}

int Tokenizer::size() const {
  return tables_->tokens.size();
}

const std::vector<std::string>& Tokenizer::notes() const {
  return tables_->notes;
}

int32_t Tokenizer::id_of(std::string_view token) const {
  const auto found = tables_->ids.find(std::string(token));
  return found == tables_->ids.end() ? -1 : found->second;
}

bool Tokenizer::is_special(int32_t id) const {
  return tables_->special(id);
}

std::vector<int32_t> Tokenizer::stop_ids(const std::vector<int32_t>& listed) const {
  std::vector<int32_t> ids = listed;
  for (const char* name : {"<turn|>", "<|tool_response>"})
    if (const int32_t id = id_of(name); id >= 0) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_controls)
    : tokenizer_(tokenizer), skip_controls_(skip_controls) {}

// Byte tokens are held back until something else ends their run: only then is it known whether the
// run is valid as a whole.
std::string StreamDecoder::push(int32_t id) {
  held_.push_back(id);
  if (tokenizer_.is_byte(id)) return {};
  return finish();
}

std::string StreamDecoder::finish() {
  const std::string text = tokenizer_.decode(held_, skip_controls_);
  held_.clear();
  return text;
}

bool Tokenizer::is_byte(int32_t id) const {
  return tables_->bytes_of_id.count(id) != 0;
}

}  // namespace potluck
