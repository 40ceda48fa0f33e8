// Tunnel: the network device of one host, whose other end is the switch: what the host sends is
// read here, and what is written here arrives at the host.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace potluck {

inline constexpr char kDeviceName[] = "lan0";
// A packet as the kernel hands it over: a virtio_net_hdr, and up to 64 KiB that a card would cut.
inline constexpr size_t kPacketMax = 65536 + 64;

class Tunnel final {
 public:
  // Makes the device in a namespace of /run/netns. `whole`: the host may hand over large pieces for
  // the card to cut, as fast networks need; without it every packet is one that a wire would carry.
  // Throws std::system_error.
  Tunnel(const std::string& network_namespace, bool whole);
  ~Tunnel();
  Tunnel(Tunnel&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  int descriptor() const { return descriptor_; }
  // The next packet that the host has sent; empty if there is none.
  std::vector<uint8_t> read();
  // Drops the packet if the host takes no more.
  void write(std::span<const uint8_t> packet);

 private:
  int descriptor_ = -1;
};

// The packet's destination, IPv4 or IPv6, as inet_ntop writes it; empty if it is neither.
std::string destination_of(std::span<const uint8_t> packet);
// Its bytes on a wire, without what the kernel has put before it.
uint64_t wire_bytes(std::span<const uint8_t> packet);

}  // namespace potluck
