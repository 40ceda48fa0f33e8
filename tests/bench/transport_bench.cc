// One hop of a canvas, one way: 256 rows × 2816 bf16 = 1,441,792 bytes, from send() in one thread
// to wait() in another and straight back; half of the round trip is reported.
// By design: 0.27 ms over loopback TCP with bare ZeroMQ. Reached, on 2 shared cores of a Xeon, is
// in the commit that last changed this file.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

#include "transport/inproc/inproc.h"
#include "transport/zmq/zmq.h"

namespace potluck {
namespace {

constexpr size_t kHopBytes = 256 * 2816 * 2;
constexpr PeerId kEchoPeer = kHeadPeer, kBenchPeer = stage_peer(0);

std::unique_ptr<Transport> party(std::unique_ptr<Transport> transport, PeerId self,
                                 const std::string& key) {
  Identity identity;
  identity.self = self;
  identity.keys[kBenchPeer] = {key};
  transport->set_identity(identity);
  return transport;
}

void wait_for(Transport& transport, Event::Kind kind) {
  while (true) {
    const std::optional<Event> event = transport.wait(now() + from_seconds(10));
    if (event && event->kind == kind) return;
  }
}

// Sends back what comes, until its link is down.
void echo(Transport& transport) {
  while (const std::optional<Event> event = transport.wait(now() + from_seconds(10))) {
    if (event->kind == Event::Kind::down) return;
    if (event->kind != Event::Kind::message) continue;
    Message message = event->message;
    message.header.destination = event->peer;
    transport.send(std::move(message));
  }
}

void ping_pong(benchmark::State& state, std::unique_ptr<Transport> here,
               std::unique_ptr<Transport> there, const std::string& endpoint,
               const std::string& key = {}) {
  here = party(std::move(here), kBenchPeer, key);
  there = party(std::move(there), kEchoPeer, key);
  here->connect(kEchoPeer, {there->listen(endpoint), key});
  std::thread other([&] { echo(*there); });
  wait_for(*here, Event::Kind::up);
  Message message;
  message.header.kind = MessageKind::denoise;
  message.header.destination = kEchoPeer;
  message.payload = own_payload(std::vector<std::byte>(static_cast<size_t>(state.range(0))));
  for (auto _ : state) {
    const Time start = now();
    here->send(message);
    wait_for(*here, Event::Kind::message);
    state.SetIterationTime(seconds(now() - start) / 2);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  here->drop(kEchoPeer);
  other.join();
}

void OverTcp(benchmark::State& state) {
  ping_pong(state, make_zmq_transport({.insecure_plaintext = true}),
            make_zmq_transport({.insecure_plaintext = true}), "tcp://127.0.0.1:*");
}
void OverLockedTcp(benchmark::State& state) {
  const auto keys = [keys = make_lock_keys()] { return keys; };
  ping_pong(state, make_zmq_transport({keys}), make_zmq_transport({keys}), "tcp://127.0.0.1:*",
            keys().public_key);
}
void OverIpc(benchmark::State& state) {
  const std::string path = "ipc:///tmp/potluck-bench-" + std::to_string(getpid());
  ping_pong(state, make_zmq_transport({}), make_zmq_transport({}), path);
}
void InProcess(benchmark::State& state) {
  const auto hub = make_inproc_hub();
  ping_pong(state, make_inproc_transport(hub), make_inproc_transport(hub), "inproc://bench");
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Arg(0)->Arg(kHopBytes)->Arg(2 * kHopBytes)->UseManualTime()->Unit(benchmark::kMicrosecond);
}
BENCHMARK(OverTcp)->Apply(sizes);
BENCHMARK(OverLockedTcp)->Apply(sizes);
BENCHMARK(OverIpc)->Apply(sizes);
BENCHMARK(InProcess)->Apply(sizes);

}  // namespace
}  // namespace potluck

BENCHMARK_MAIN();
