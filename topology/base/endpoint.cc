// Takes endpoints apart, and knows the addresses that mean something special.
#include "topology/base/endpoint.h"

#include <arpa/inet.h>

#include <charconv>

namespace potluck {
namespace {

constexpr char kTcp[] = "tcp://", kIpc[] = "ipc://";
constexpr size_t kPrefixBytes = sizeof(kTcp) - 1;
constexpr int kPortMax = 65535;
constexpr char kHostLetters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._";
constexpr char kAddressLetters[] = "0123456789abcdefABCDEF:.";

bool is_made_of(const std::string& text, const char* letters) {
  return !text.empty() && text.find_first_not_of(letters) == std::string::npos;
}

bool is_bracketed(const std::string& host) {
  return host.size() > 2 && host.front() == '[' && host.back() == ']';
}

bool is_host(const std::string& host) {
  if (host == "*") return true;
  if (!is_bracketed(host)) return is_made_of(host, kHostLetters);
  const std::string inner = host.substr(1, host.size() - 2);
  const size_t zone = inner.find('%');
  return is_made_of(inner.substr(0, zone), kAddressLetters) &&
         (zone == std::string::npos || is_made_of(inner.substr(zone + 1), kHostLetters));
}

// 0: not a port.
int parse_port(const std::string& text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool whole =
      error == std::errc() && end == text.data() + text.size() && text.front() != '0';
  return whole && port >= 1 && port <= kPortMax ? port : 0;
}

// As RFC 1123 has it, of any length, and with the "_" of container networks; a dot may end it.
bool is_host_name(std::string host) {
  if (!host.empty() && host.back() == '.') host.pop_back();
  std::string label;
  for (size_t at = 0; at <= host.size(); at += label.size() + 1) {
    label = host.substr(at, host.find('.', at) - at);
    if (!is_made_of(label, kHostLetters) || label.front() == '-' || label.back() == '-')
      return false;
  }
  return label.find_first_not_of("0123456789") != std::string::npos;
}

// The address of a host that is one of IPv6, in brackets.
std::optional<in6_addr> ipv6_of(const std::string& host) {
  in6_addr six{};
  if (!is_bracketed(host)) return std::nullopt;
  const std::string inner = host.substr(1, host.size() - 2);
  if (inet_pton(AF_INET6, inner.substr(0, inner.find('%')).c_str(), &six) != 1) return std::nullopt;
  return six;
}

// The address of a host that is one of IPv4, in any of the ways in which the C library reads them
// ("127.1"), or an IPv6 address that stands for one.
std::optional<in_addr> ipv4_of(const std::string& host) {
  in_addr four{};
  if (inet_aton(host.c_str(), &four)) return four;
  const auto six = ipv6_of(host);
  if (!six || !IN6_IS_ADDR_V4MAPPED(&*six)) return std::nullopt;
  four.s_addr = six->s6_addr32[3];
  return four;
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
  if (endpoint.scheme == "ipc" || endpoint.host == "localhost") return true;
  if (const auto four = ipv4_of(endpoint.host)) return ntohl(four->s_addr) >> 24 == IN_LOOPBACKNET;
  const auto six = ipv6_of(endpoint.host);
  return six && IN6_IS_ADDR_LOOPBACK(&*six);
}

bool is_any_address(const Endpoint& endpoint) {
  if (endpoint.scheme == "ipc") return false;
  if (endpoint.host == "*") return true;
  if (const auto four = ipv4_of(endpoint.host)) return four->s_addr == htonl(INADDR_ANY);
  const auto six = ipv6_of(endpoint.host);
  return six && IN6_IS_ADDR_UNSPECIFIED(&*six);
}

bool is_machine(const std::string& host) {
  constexpr uint32_t kBroadcast = 0xFFFFFFFF;
  if (is_bracketed(host)) return true;
  in_addr four{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1)
    return !IN_MULTICAST(ntohl(four.s_addr)) && ntohl(four.s_addr) != kBroadcast;
  return !inet_aton(host.c_str(), &four) && is_host_name(host);
}

std::string without_zone(const std::string& endpoint) {
  const size_t zone = endpoint.find('%'), end = endpoint.rfind(']');
  if (zone == std::string::npos || end == std::string::npos || end < zone) return endpoint;
  return endpoint.substr(0, zone) + endpoint.substr(end);
}

}  // namespace potluck
