// The kernel is asked about addresses here: from where they would be reached, and why one cannot be
// connected to, which libzmq does not say. Addresses are in numbers: "tcp://10.0.0.4:7000".
#pragma once

#include <optional>
#include <string>

namespace potluck {

// A connection that is tried, and given up as soon as it is known how that ends.
class Probe final {
 public:
  explicit Probe(const std::string& address);
  ~Probe();
  Probe(Probe&& other) noexcept;
  Probe& operator=(Probe&&) = delete;

  // An errno; 0 if somebody listens there; nothing while it is not known. Never waits.
  std::optional<int> error();

 private:
  int fd_ = -1;
  std::optional<int> error_;
};

// "refused the connection", "did not answer", "was not reached: No route to host".
std::string failure_text(int error);
// Whether packets to the address do not even leave this machine, or come back from the next.
bool is_unrouted(int error);

// The host that packets to the address leave this machine from: "10.0.0.3", "[fe80::3%eth0]"; empty
// if there is no route. Nothing is sent.
std::string local_address_towards(const std::string& address);

}  // namespace potluck
