// Gets bytes by libcurl, a request at a time, and follows redirects itself, so that the token goes
// to its own host alone.
#include "topology/hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <string_view>

#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/base/version.h"

namespace potluck {
namespace {

constexpr int kRedirectsMax = 8;
constexpr long kConnectSeconds = 20;
constexpr size_t kHeadersMax = 256;  // of one answer; the hub sends some 30

std::string small(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

// One request without its redirects.
struct Transfer {
  CURL* curl = nullptr;
  const HttpOptions* options = nullptr;
  std::optional<ByteRange> range;
  const ByteSink* body = nullptr;
  HttpReply reply;
  uint64_t taken = 0;
  bool begun = false;  // bytes of the body have come
  std::exception_ptr thrown;

  void begin_body();
  void take(std::span<const std::byte> bytes);
  void take_header(std::string_view line);
};

void Transfer::begin_body() {
  begun = true;
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  reply.status = status;
  if (!reply.ok()) return;
  if (reply.header("content-type").starts_with("text/html"))
    throw Fault(FaultKind::input, reply.url + " answers with a web page",
                Fix{"is a login page or a proxy in between? Look at it in a browser"});
  if (!range) return;
  if (status != 206 && range->begin > 0)
    throw Fault(FaultKind::input,
                reply.url + " sends the whole file where a part was asked for (status " +
                    std::to_string(status) + ")",
                Fix{"this server cannot resume: take another one (HF_ENDPOINT)"});
  const std::string wanted = "bytes " + std::to_string(range->begin) + "-" +
                             std::to_string(range->begin + range->bytes - 1) + "/";
  if (status == 206 && !reply.header("content-range").starts_with(wanted))
    throw Fault(FaultKind::input,
                reply.url + " sends \"" + reply.header("content-range") + "\" where \"" + wanted +
                    "…\" was asked for",
                Fix{"this server does not keep to ranges: take another one (HF_ENDPOINT)"});
}

// Bytes behind the range are refused, so that an endless answer ends here.
void Transfer::take(std::span<const std::byte> bytes) {
  if (!begun) begin_body();
  if (!reply.ok()) return;
  taken += bytes.size();
  if (range && taken > range->bytes)
    throw Fault(FaultKind::input,
                reply.url + " sends more than the " + std::to_string(range->bytes) +
                    " bytes that were asked for",
                Fix{"this server does not keep to ranges: take another one (HF_ENDPOINT)"});
  (*body)(bytes);
}

void Transfer::take_header(std::string_view line) {
  if (line.starts_with("HTTP/")) reply.headers.clear();  // an interim answer came before
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || reply.headers.size() >= kHeadersMax) return;
  reply.headers[small(trimmed(line.substr(0, colon)))] = trimmed(line.substr(colon + 1));
}

// No exception may pass through libcurl: it is kept, and the transfer is ended.
template <typename Work>
bool kept(Transfer& transfer, const Work& work) {
  try {
    work();
    return true;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return false;
  }
}

size_t on_body(char* data, size_t, size_t count, void* context) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  const auto bytes = std::as_bytes(std::span(data, count));
  return kept(transfer, [&] { transfer.take(bytes); }) ? count : 0;
}

size_t on_header(char* data, size_t, size_t count, void* context) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  return kept(transfer, [&] { transfer.take_header({data, count}); }) ? count : 0;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const Transfer& transfer = *static_cast<Transfer*>(context);
  return transfer.options->stopped && transfer.options->stopped() ? 1 : 0;
}

struct HeaderList {
  curl_slist* list = nullptr;
  ~HeaderList() { curl_slist_free_all(list); }
  void add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
};

void set_up(Transfer& transfer, const HeaderList& headers) {
  CURL* curl = transfer.curl;
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, transfer.reply.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, kSoftware);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                   std::chrono::ceil<std::chrono::seconds>(transfer.options->silence_max).count());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
}

// Where a redirect leads; empty if the answer is none.
std::string redirected(CURL* curl, const HttpReply& reply) {
  char* next = nullptr;
  if (reply.status / 100 != 3) return "";
  curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &next);
  if (!next) return "";
  if (reply.url.starts_with("https://") && !std::string_view(next).starts_with("https://"))
    throw Fault(FaultKind::input, reply.url + " redirects to " + next + ", which is not encrypted",
                Fix{"take another server (HF_ENDPOINT)"});
  return next;
}

}  // namespace

struct Http::Handle {
  CURL* curl = curl_easy_init();
  ~Handle() { curl_easy_cleanup(curl); }
};

std::string HttpReply::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::string origin_of(const std::string& url) {
  const size_t host = url.find("://");
  if (host == std::string::npos) return "";
  return small(url.substr(0, url.find_first_of("/?#", host + 3)));
}

std::string url_path(const std::string& path) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (const unsigned char c : path) {
    if (std::isalnum(c) || std::string_view("/-._~").find(c) != std::string_view::npos) {
      text += c;
      continue;
    }
    text += '%';
    text += kDigits[c / 16];
    text += kDigits[c % 16];
  }
  return text;
}

Http::Http(HttpOptions options)
    : handle_(std::make_unique<Handle>()), options_(std::move(options)) {
  CHECK(handle_->curl);
}

Http::~Http() = default;

HttpReply Http::get(const std::string& url, std::optional<ByteRange> range, const ByteSink& body) {
  std::string next = url;
  for (int redirects = 0; redirects <= kRedirectsMax; ++redirects) {
    Transfer transfer{handle_->curl, &options_, range, &body, {}, 0, false, {}};
    transfer.reply.url = next;
    HeaderList headers;
    if (!options_.token.empty() && origin_of(next) == options_.token_origin)
      headers.add("Authorization: Bearer " + options_.token);
    if (range)
      headers.add("Range: bytes=" + std::to_string(range->begin) + "-" +
                  std::to_string(range->begin + range->bytes - 1));
    set_up(transfer, headers);
    const CURLcode result = curl_easy_perform(handle_->curl);
    if (transfer.thrown) std::rethrow_exception(transfer.thrown);
    if (result == CURLE_ABORTED_BY_CALLBACK)
      throw Fault(FaultKind::canceled, "stopped; the same command goes on from here");
    if (!transfer.begun) transfer.begin_body();
    if (result != CURLE_OK) transfer.reply.broken = curl_easy_strerror(result);
    next = redirected(handle_->curl, transfer.reply);
    if (next.empty()) return std::move(transfer.reply);
  }
  throw Fault(FaultKind::input,
              url + " redirects more than " + std::to_string(kRedirectsMax) + " times",
              Fix{"take another server (HF_ENDPOINT)"});
}

}  // namespace potluck
