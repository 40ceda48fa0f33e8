// A TUN device is made in the namespace that the calling thread is in at that moment, and its
// descriptor stays good in any other.
#include "tests/network/tunnel.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace potluck {
namespace {

// A struct virtio_net_hdr, whose header is no C++.
constexpr size_t kHeader = 10;

int checked(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

void enter(const std::string& path) {
  const int place = checked(open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  const int result = setns(place, CLONE_NEWNET);
  close(place);
  checked(result, "entering " + path);
}

void make_device(int descriptor, bool whole) {
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  std::strncpy(request.ifr_name, kDeviceName, IFNAMSIZ - 1);
  checked(ioctl(descriptor, TUNSETIFF, &request), "making a TUN device");
  const unsigned offload = whole ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
  checked(ioctl(descriptor, TUNSETOFFLOAD, offload), "offloads of a TUN device");
}

}  // namespace

Tunnel::Tunnel(const std::string& network_namespace, bool whole) {
  enter("/run/netns/" + network_namespace);
  descriptor_ = checked(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), "/dev/net/tun");
  make_device(descriptor_, whole);
}

Tunnel::~Tunnel() {
  if (descriptor_ >= 0) close(descriptor_);
}

std::vector<uint8_t> Tunnel::read() {
  std::vector<uint8_t> packet(kPacketMax);
  const ssize_t bytes = ::read(descriptor_, packet.data(), packet.size());
  if (bytes < 0 && errno != EAGAIN && errno != EINTR) checked(-1, "reading a TUN device");
  packet.resize(bytes < 0 ? 0 : bytes);
  return packet;
}

void Tunnel::write(std::span<const uint8_t> packet) {
  // A host whose device is down or whose queue is full loses the packet, as on any network.
  [[maybe_unused]] const ssize_t bytes = ::write(descriptor_, packet.data(), packet.size());
}

std::string destination_of(std::span<const uint8_t> packet) {
  if (packet.size() < kHeader + 20) return {};
  const uint8_t* ip = packet.data() + kHeader;
  char text[INET6_ADDRSTRLEN] = "";
  if (ip[0] >> 4 == 4) inet_ntop(AF_INET, ip + 16, text, sizeof text);
  if (ip[0] >> 4 == 6 && packet.size() >= kHeader + 40)
    inet_ntop(AF_INET6, ip + 24, text, sizeof text);
  return text;
}

uint64_t wire_bytes(std::span<const uint8_t> packet) {
  return packet.size() - kHeader;
}

}  // namespace potluck
