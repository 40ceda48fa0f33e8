// A siege: strangers do to workers whatever strangers can, in turns, for so many seconds, while one
// coordinator asks a ring of the same workers again and again, and every answer must be the first.
//
//   siege SECONDS STRANGERS ENDPOINT ENDPOINT…    the endpoints of a head and its stages
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/hostile/honest_ring.h"
#include "tests/hostile/hostile_peer.h"

namespace potluck {
namespace {

using Random = std::mt19937_64;

struct Target {
  std::string endpoint;
  RingId ring;  // which strangers need not know
  Plan plan;
  Digest model;
};

std::string noise(Random& random, size_t bytes_max) {
  std::string bytes(random() % bytes_max, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

PeerId anybody(Random& random) {
  constexpr PeerId kPeers[] = {kCoordinatorPeer, kHeadPeer, stage_peer(0), stage_peer(1),
                               stage_peer(9),    200,       1000,          kUnassignedPeer};
  return kPeers[random() % std::size(kPeers)];
}

RingId any_ring(const Target& target, Random& random) {
  RingId ring = target.ring;
  if (random() % 2) ring.epoch += static_cast<uint32_t>(random() % 3);
  if (random() % 4 == 0) ring.incarnation = random();
  return ring;
}

void garbage(const Target& target, Random& random) {
  ZmtpPeer(target.endpoint).write(noise(random, 100000));
  ZmtpPeer greeted(target.endpoint);
  greeted.write(zmtp_greeting() + noise(random, 100000));
  ZmtpPeer welcome(target.endpoint);
  welcome.shake_hands("DEALER");
  welcome.write(noise(random, 100000));
}

void half_a_greeting(const Target& target, Random& random) {
  for (int i = 0; i < 50; ++i)
    ZmtpPeer(target.endpoint).write(zmtp_greeting().substr(0, random() % 64));
}

void a_message_without_end(const Target& target, Random& random) {
  ZmtpPeer peer(target.endpoint);
  peer.shake_hands("DEALER");
  std::string frames;
  const std::string frame = zmtp_frame(std::string(random() % 300, 'x'), true);
  for (int i = 0; i < 100000; ++i) frames += frame;
  peer.write(frames);
}

void a_frame_of_exabytes(const Target& target, Random& random) {
  ZmtpPeer peer(target.endpoint);
  peer.shake_hands("DEALER");
  peer.write(std::string("\x02\x0F", 2) + noise(random, 100000));
}

void large_messages(const Target& target, Random&) {
  ZmtpPeer peer(target.endpoint);
  peer.shake_hands("DEALER");
  for (int i = 0; i < 20; ++i) peer.send({std::string(200000, 'h'), std::string(1 << 20, 'p')});
}

void many_hellos(const Target& target, Random& random) {
  HostilePeer peer(target.endpoint);
  for (int i = 0; i < 1000; ++i) peer.hello(anybody(random), any_ring(target, random));
}

void claims(const Target& target, Random& random) {
  using Kind = MessageKind;
  constexpr Kind kKinds[] = {Kind::open,     Kind::close,      Kind::truncate, Kind::cancel,
                             Kind::shutdown, Kind::encode,     Kind::denoise,  Kind::join,
                             Kind::joined,   Kind::encode_done};
  for (int i = 0; i < 20; ++i) {
    HostilePeer peer(target.endpoint);
    const RingId ring = any_ring(target, random);
    peer.hello(anybody(random), ring);
    for (int words = 0; words < 20; ++words)
      peer.say(word(kKinds[random() % std::size(kKinds)], ring));
  }
}

void absurd_loads(const Target& target, Random& random) {
  HostilePeer peer(target.endpoint);
  const RingId ring = any_ring(target, random);
  peer.hello(kCoordinatorPeer, ring);
  for (uint32_t epoch = 2; epoch < 12; ++epoch) {
    Plan plan = target.plan;
    plan.epoch = epoch;
    plan.ctx_size = plan.chunk = plan.sessions = 1 << 20;
    plan.stages.resize(1 + random() % kMaxStages, plan.stages.back());
    peer.say(load_of(plan, anybody(random), {ring.incarnation, epoch}, target.model));
  }
}

void silence(const Target& target, Random& random) {
  std::vector<std::unique_ptr<ZmtpPeer>> silent;
  for (int i = 0; i < 300; ++i) {
    silent.push_back(std::make_unique<ZmtpPeer>(target.endpoint));
    if (random() % 4 == 0) silent.back()->write(zmtp_greeting());
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
}

void hellos_byte_by_byte(const Target& target, Random& random) {
  ZmtpPeer peer(target.endpoint);
  for (const char byte : zmtp_greeting() + noise(random, 200)) {
    peer.write(std::string(1, byte));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

struct Attack {
  const char* name;
  void (*strike)(const Target& target, Random& random);
};

constexpr Attack kAttacks[] = {
    {"garbage", garbage},
    {"half a greeting", half_a_greeting},
    {"a message without end", a_message_without_end},
    {"a frame of exabytes", a_frame_of_exabytes},
    {"large messages", large_messages},
    {"many hellos", many_hellos},
    {"claims", claims},
    {"absurd loads", absurd_loads},
    {"silence", silence},
    {"hellos byte by byte", hellos_byte_by_byte},
};
constexpr double kTurnSeconds = 0.5;

class Strangers final {
 public:
  Strangers(std::vector<Target> targets, int count) : targets_(std::move(targets)) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  ~Strangers() { stop(); }

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // Whether each attack has been tried.
  bool had_their_turns() const {
    return threads_.empty() ||
           std::all_of(counts_.begin(), counts_.end(), [](const auto& count) { return count > 0; });
  }
  void print() const {
    for (size_t i = 0; i < std::size(kAttacks); ++i)
      std::printf("%s: %d\n", kAttacks[i].name, counts_[i].load());
  }

 private:
  void run(int seed) {
    Random random(static_cast<uint64_t>(seed));
    for (size_t turn = static_cast<size_t>(seed); !stop_; turn += 3) {
      const size_t kind = turn % std::size(kAttacks);
      const Time end = now() + from_seconds(kTurnSeconds);
      while (!stop_ && now() < end) {
        kAttacks[kind].strike(targets_[random() % targets_.size()], random);
        ++counts_[kind];
      }
    }
  }

  const std::vector<Target> targets_;
  std::array<std::atomic<int>, std::size(kAttacks)> counts_{};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

int besiege(double seconds, int strangers, const std::vector<std::string>& endpoints) {
  const std::shared_ptr<const ModelSource> source = open_model(kAttackedModel);
  const Plan plan = attacked_plan(*source, endpoints);
  HonestCoordinator coordinator(source, plan);
  const std::vector<int32_t> expected = coordinator.ask();
  std::vector<Target> targets;
  for (const std::string& endpoint : endpoints)
    targets.push_back({endpoint, coordinator.ring(), plan, spec_digest(*source)});
  Strangers crowd(targets, strangers);
  const Time end = now() + from_seconds(seconds);
  int answers = 0;
  const auto is_over = [&] { return now() >= end && crowd.had_their_turns(); };
  while (!is_over() && coordinator.ask() == expected) ++answers;
  const bool held = is_over() && !coordinator.fault() && !expected.empty();
  crowd.stop();
  crowd.print();
  std::printf("answers: %d\n", answers);
  if (coordinator.fault()) std::fprintf(stderr, "%s\n", coordinator.fault()->what());
  return held ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace potluck

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "siege SECONDS STRANGERS ENDPOINT ENDPOINT…\n");
    return 2;
  }
  return potluck::besiege(std::atof(argv[1]), std::atoi(argv[2]), {argv + 3, argv + argc});
}
