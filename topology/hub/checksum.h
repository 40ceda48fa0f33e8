// The digests by which a hub names files: SHA-256 of large ones, git's SHA-1 of small ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace potluck {

enum class ChecksumKind : uint8_t { sha256, git_sha1 };
inline constexpr size_t kSha256Digits = 64, kSha1Digits = 40;  // hex

// A digest of bytes that come one after the other.
class Checksum final {
 public:
  // bytes: how many there will be; git's SHA-1 begins with their number.
  Checksum(ChecksumKind kind, uint64_t bytes);
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void add(std::span<const std::byte> bytes);
  std::string text();  // in hex digits; call it once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace potluck
