// Takes endpoints apart.
#include "topology/base/endpoint.h"

#include <charconv>

namespace potluck {
namespace {

constexpr char kTcp[] = "tcp://", kIpc[] = "ipc://";
constexpr size_t kPrefixBytes = sizeof(kTcp) - 1;
constexpr int kPortMax = 65535;
constexpr char kHostLetters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._";

bool is_host(const std::string& host) {
  if (host.empty() || host.front() != '[')
    return !host.empty() && host.find_first_not_of(kHostLetters) == std::string::npos;
  return host.size() > 2 &&
         host.find_first_not_of("0123456789abcdefABCDEF:.", 1) == host.size() - 1 &&
         host.back() == ']';
}

// 0: not a port.
int parse_port(const std::string& text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && port >= 1 && port <= kPortMax ? port : 0;
}

}  // namespace

std::optional<Endpoint> parse_endpoint(const std::string& text) {
  if (text.rfind(kIpc, 0) == 0 && text.size() > kPrefixBytes)
    return Endpoint{"ipc", text.substr(kPrefixBytes), 0};
  const size_t colon = text.rfind(':');
  if (text.rfind(kTcp, 0) != 0 || colon < kPrefixBytes) return std::nullopt;
  Endpoint endpoint{"tcp", text.substr(kPrefixBytes, colon - kPrefixBytes),
                    parse_port(text.substr(colon + 1))};
  if (!is_host(endpoint.host) || endpoint.port == 0) return std::nullopt;
  return endpoint;
}

bool is_loopback(const Endpoint& endpoint) {
  const std::string& host = endpoint.host;
  return endpoint.scheme == "ipc" || host == "localhost" || host == "[::1]" ||
         host.rfind("127.", 0) == 0;
}

}  // namespace potluck
