// Gets bytes by HTTP: this is where libcurl is called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "topology/base/clock.h"
#include "topology/hub/model_files.h"

namespace potluck {

inline constexpr Duration kSilenceMax = std::chrono::seconds(30);  // then a connection is cut

struct HttpOptions {
  std::string token;         // sent as a bearer's, to this origin and no other; empty: none
  std::string token_origin;  // "https://huggingface.co"
  Duration silence_max = kSilenceMax;
  std::function<bool()> stopped;  // asked now and then; true ends the transfer by Fault{canceled}
};

struct HttpReply {
  int status = 0;                              // 0: no answer came
  std::map<std::string, std::string> headers;  // by names in small letters
  std::string url;                             // that answered, after redirects
  std::string broken;  // why the connection ended too early; empty: it did not
  bool ok() const { return status / 100 == 2; }
  std::string header(const std::string& name) const;  // empty if there is none
};

std::string origin_of(const std::string& url);  // "https://huggingface.co:8443"
// Puts % for what cannot be in a path; slashes stay.
std::string url_path(const std::string& path);

// Keeps its connections for the next request. For one thread.
class Http final {
 public:
  explicit Http(HttpOptions options);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  // Follows redirects, though none from https to http. The body of an answer with status 2xx goes
  // to `body` as it comes, that of another nowhere. Throws Fault{input} for an answer that is not
  // what was asked for: a web page, other bytes than those of the range, or more of them.
  HttpReply get(const std::string& url, std::optional<ByteRange> range, const ByteSink& body);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
  HttpOptions options_;
};

}  // namespace potluck
