// One message of each kind, with a value in every field.
#include "tests/transport/wire/wire_samples.h"

#include <string>

#include "transport/proof/ring_proof.h"

namespace potluck {

Hello sample_hello() {
  Hello hello;
  hello.software = "potluck 0.1.0";
  hello.name = "old-1080";
  hello.nonce = std::string(kNonceBytes, '\x80');
  return hello;
}

Plan sample_plan(int stages) {
  Plan plan;
  plan.epoch = 5;
  plan.head = {"head", "tcp://10.0.0.2:7000", "cpu", {0, 0}, 4, 6ull << 30, DType::f32};
  for (int i = 0; i < stages; ++i) {
    const std::string name = "stage " + std::to_string(i);
    plan.stages.push_back({name,
                           "tcp://10.0.0.3:" + std::to_string(7000 + i),
                           "cpu",
                           {i, i + 1},
                           i,
                           1ull << 30,
                           i % 2 ? DType::q8_0 : DType::f32,
                           i % 2 == 1,
                           false,
                           true,
                           std::string(64, "0123456789abcdef"[i % 16])});
  }
  plan.stream = plan.kv = DType::f32;
  plan.ctx_size = 4096;
  plan.sessions = 3;
  plan.chunk = 64;
  plan.slots = 7;
  return plan;
}

std::vector<MessageKind> all_message_kinds() {
  std::vector<MessageKind> kinds;
  for (uint16_t i = 0; i < 256; ++i)
    if (message_kind_name(static_cast<MessageKind>(i)) != std::string("unknown"))
      kinds.push_back(static_cast<MessageKind>(i));
  return kinds;
}

Message sample_message(MessageKind kind) {
  Message message;
  Header& h = message.header;
  h.kind = kind;
  h.incarnation = 0xFEDCBA9876543210;
  h.epoch = 5;
  h.source = kHeadPeer;
  h.destination = stage_peer(2);
  h.session = 0x0123456789ABCDEF;
  h.key = {42, 1, 2, 3};
  h.request = 4;
  h.kv_length_before = 500;
  h.first_position = 600;
  h.rows = 256;
  h.dtype = DType::bf16;
  h.last = true;
  h.temperature = 0.7375;
  h.fork_of = 41;
  h.digest = 0xD16E57;
  h.hops = {{kHeadPeer, 10, 20, 30, 40}, {stage_peer(0), 11, 21, 31, 41}};
  if (kind == MessageKind::hello) message.hello = sample_hello();
  if (kind == MessageKind::load)
    message.load = Load{
        sample_plan(3), stage_peer(1), {1, 2, {3, 4, 5}}, std::string(kRingSecretBytes, '\xfe')};
  if (kind == MessageKind::ready)
    message.ready = Ready{1, 2, 3, 4.5, {6, 7}, "tcp://h:1", "12 cores", 8};
  if (kind == MessageKind::fault || kind == MessageKind::goodbye)
    message.fault = FaultReport{
        FaultKind::memory, "needs 9 GiB, has 8", "stage 1", {"give it less", Setting::context}};
  if (kind == MessageKind::proof) message.proof = Proof{std::string(kProofBytes, '\0')};
  if (kind == MessageKind::heartbeat) message.heartbeat = Heartbeat{99};
  if (kind == MessageKind::card_link)
    message.card_link = CardLink{CardLink::Step::stopped, 17, 1441792, "cuda card 1", "it hangs"};
  return message;
}

}  // namespace potluck
