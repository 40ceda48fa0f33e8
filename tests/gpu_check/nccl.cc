// NCCL on this card: bytes that go to the card itself, and the card's memory that NCCL takes for
// that. A card that is not alone of its vendor is linked to each that comes after it: hops and long
// payloads by the transport's own communicators, beside a copy that goes through the host.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "backends/gpu/open_card.h"
#include "shard/card_port.h"
#include "tests/gpu_check/check.h"
#include "tests/gpu_check/forwarding_driver.h"
#include "tests/gpu_check/raw_card.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "transport/nccl/communicator.h"
#include "transport/nccl/self_check.h"

namespace potluck {
namespace {

constexpr double kMakeSeconds = 30, kCarrySeconds = 10;
constexpr double kMega = 1e-6, kGiga = 1e-9;

// "cuda" of "cuda:1".
std::string vendor_of(const std::string& device) {
  const std::string emulated = "emulated:";
  const std::string name = device.rfind(emulated, 0) == 0 ? device.substr(emulated.size()) : device;
  return name.substr(0, name.find_first_of(":-"));
}

size_t payload_bytes(const Check& check) {
  return check.tiny() ? 1 << 16 : size_t{64} << 20;
}
// 256 rows of the released model in bf16.
size_t hop_bytes(const Check& check) {
  return check.tiny() ? 1 << 12 : size_t{256} * 2816 * 2;
}

std::vector<uint32_t> numbers(size_t bytes) {
  std::vector<uint32_t> words(bytes / 4);
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint32_t>(i * 2654435761u);
  return words;
}

void check_itself(Check& check) {
  RawCard card(check.driver);
  const size_t bytes = payload_bytes(check);
  const std::vector<uint32_t> sent = numbers(bytes);
  const uint32_t* from = card.put(std::span(sent));
  auto* to = card.make<uint32_t>(sent.size());
  const auto port =
      make_card_port(std::make_unique<ForwardingDriver>(check.driver), vendor_of(check.device));
  const uint64_t before = check.driver->facts().bytes_free;
  uint64_t meanwhile = before;
  const std::string version =
      copy_by_nccl(port, from, to, bytes, [&] { meanwhile = check.driver->facts().bytes_free; });
  if (card.get(to, sent.size()) != sent)
    check.report.fail("nccl", version + " brings other bytes than it was given");
  check.report.add(
      "nccl", version + " to the card itself",
      {{"mb", bytes * kMega}, {"taken_mb", (static_cast<double>(before) - meanwhile) * kMega}});
}

// One of the two cards of a link, with a driver of its own for each thread.
struct End {
  End(const std::string& device, size_t bytes)
      : driver(open_card(device)),
        card(driver),
        port(make_card_port(open_card(device), vendor_of(device))),
        memory(static_cast<std::byte*>(port->allocate(bytes)),
               [port = port](std::byte* p) { port->free(p); }) {}

  void make(const std::shared_ptr<const NcclLibrary>& library, const NcclId& id, NcclRank rank) {
    communicator.emplace(CommunicatorSetup{.library = library,
                                           .port = port,
                                           .id = id,
                                           .rank = rank,
                                           .make_seconds = kMakeSeconds,
                                           .receive_seconds = kCarrySeconds,
                                           .changed = [] {}});
  }

  std::shared_ptr<GpuDriver> driver;
  RawCard card;
  std::shared_ptr<CardPort> port;
  std::shared_ptr<std::byte> memory;
  std::optional<Communicator> communicator;
};

class TwoCards final {
 public:
  TwoCards(Check& check, const std::string& other)
      : check_(check),
        sent_(numbers(payload_bytes(check))),
        bytes_(sent_.size() * sizeof(uint32_t)),
        from_(check.device, bytes_),
        to_(other, bytes_) {
    const uint32_t* own = from_.card.put(std::span<const uint32_t>(sent_));
    from_.driver->copy(own, from_.memory.get(), bytes_, from_.card.stream());
    from_.driver->wait(from_.card.stream());
    free_from_ = from_.driver->facts().bytes_free;
    free_to_ = to_.driver->facts().bytes_free;
    const auto library = open_nccl(vendor_of(check.device));
    const NcclId id = library->new_id();
    from_.make(library, id, NcclRank::sender);
    to_.make(library, id, NcclRank::receiver);
    until([&] { return from_.communicator->is_made() && to_.communicator->is_made(); },
          kMakeSeconds);
  }

  void measure(const std::string& name) {
    const double payload = seconds_by_nccl(bytes_, 1);
    if (to_.card.get(reinterpret_cast<const uint32_t*>(to_.memory.get()), sent_.size()) != sent_)
      check_.report.fail("nccl", name + ": the other card has other bytes than were sent");
    const int runs = check_.tiny() ? 2 : 20;
    const double again = std::min(payload, seconds_by_nccl(bytes_, runs));
    const double hop = seconds_by_nccl(hop_bytes(check_), runs);
    const double host = seconds_by_host(bytes_), host_hop = seconds_by_host(hop_bytes(check_));
    check_.report.add("links", name,
                      {{"gb_s", bytes_ / again * kGiga},
                       {"hop_us", hop * 1e6},
                       {"host_gb_s", bytes_ / host * kGiga},
                       {"host_hop_us", host_hop * 1e6},
                       {"sender_mb", taken(from_, free_from_)},
                       {"receiver_mb", taken(to_, free_to_)}});
  }

 private:
  static double taken(const End& end, uint64_t before) {
    return (static_cast<double>(before) - end.driver->facts().bytes_free) * kMega;
  }

  // Throws what a communicator has failed of, or that it takes too long.
  void until(const std::function<bool()>& is_so, double most) const {
    for (const Time end = now() + from_seconds(most); !is_so();) {
      for (const End* each : {&from_, &to_})
        if (const std::string why = each->communicator->failure(); !why.empty())
          throw Fault(FaultKind::world, why);
      if (now() > end) throw Fault(FaultKind::world, "the two cards do not answer each other");
      std::this_thread::sleep_for(std::chrono::microseconds(10));
    }
  }

  double seconds_by_nccl(size_t bytes, int runs) {
    const uint64_t all = to_.communicator->carried() + runs;
    const Time begin = now();
    for (int i = 0; i < runs; ++i) {
      from_.communicator->carry(from_.memory, bytes);
      to_.communicator->carry(to_.memory, bytes);
    }
    until([&] { return to_.communicator->carried() >= all; }, kCarrySeconds);
    return seconds(now() - begin) / runs;
  }

  // From card to pinned memory, from there to that of the other card, and in.
  double seconds_by_host(size_t bytes) {
    void *out = from_.driver->allocate_host(bytes), *in = to_.driver->allocate_host(bytes);
    double least = 1e30;
    for (int i = 0; i < 3; ++i) {
      const Time begin = now();
      from_.driver->copy_out(from_.memory.get(), out, bytes, from_.card.stream());
      from_.driver->wait(from_.card.stream());
      std::memcpy(in, out, bytes);
      to_.driver->copy_in(in, to_.memory.get(), bytes, to_.card.stream());
      to_.driver->wait(to_.card.stream());
      least = std::min(least, seconds(now() - begin));
    }
    from_.driver->free_host(out);
    to_.driver->free_host(in);
    return least;
  }

  Check& check_;
  const std::vector<uint32_t> sent_;
  const size_t bytes_;
  End from_, to_;
  uint64_t free_from_ = 0, free_to_ = 0;
};

}  // namespace

void check_nccl(Check& check) {
  try {
    open_nccl(vendor_of(check.device));
  } catch (const Fault& fault) {
    check.report.add("nccl", "not checked", {{"why", std::string(fault.what())}});
    return;
  }
  check_itself(check);
  const auto mine = std::find(check.devices.begin(), check.devices.end(), check.device);
  for (auto other = mine; other != check.devices.end(); ++other)
    if (other != mine && vendor_of(*other) == vendor_of(check.device))
      TwoCards(check, *other).measure(check.device + " to " + *other);
}

}  // namespace potluck
