// A message as the bytes of its first frame.
#include <capnp/message.h>
#include <capnp/serialize.h>

#include <cstring>
#include <string>

#include "protocol.capnp.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "transport/wire/wire.h"

namespace potluck {
namespace {

constexpr uint8_t kXxh3 = 1;                // wire::Message.digestAlgorithm
constexpr size_t kFirstSegmentWords = 256;  // a data header of 40 hops needs no second segment

capnp::Data::Reader data(const std::string& bytes) {
  return kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size());
}

void put(wire::Fingerprint::Builder out, const Fingerprint& model) {
  out.setSpec(model.spec);
  out.setHead(model.head);
  auto layers = out.initLayers(model.layers.size());
  for (unsigned i = 0; i < layers.size(); ++i) layers.set(i, model.layers[i]);
}

void put(wire::Hello::Builder out, const Hello& hello) {
  out.setSoftware(one_line(hello.software));
  out.setName(one_line(hello.name));
  out.setNonce(data(hello.nonce));
}

void put(wire::WorkerPlan::Builder out, const WorkerPlan& worker) {
  out.setName(one_line(worker.name));
  out.setEndpoint(one_line(worker.endpoint));
  out.setDevice(one_line(worker.device));
  out.setLayerBegin(worker.layers.begin);
  out.setLayerEnd(worker.layers.end);
  out.setThreads(worker.threads);
  out.setHop(static_cast<uint8_t>(worker.hop_type));
  out.setMemoryBytes(worker.memory_bytes);
  out.setByNccl(worker.by_nccl);
  out.setKey(one_line(worker.key));
}

void put(wire::Plan::Builder out, const Plan& plan) {
  out.setEpoch(plan.epoch);
  out.setStream(static_cast<uint8_t>(plan.stream));
  out.setKv(static_cast<uint8_t>(plan.kv));
  out.setCtxSize(plan.ctx_size);
  out.setSessions(plan.sessions);
  out.setChunk(plan.chunk);
  out.setSlots(plan.slots);
  out.setFast(plan.precision == Precision::fast);
  put(out.initHead(), plan.head);
  auto stages = out.initStages(plan.stages.size());
  for (unsigned i = 0; i < stages.size(); ++i) put(stages[i], plan.stages[i]);
}

void put(wire::Load::Builder out, const Load& load) {
  put(out.initPlan(), load.plan);
  out.setYou(load.you);
  put(out.initModel(), load.model);
  out.setSecret(data(load.secret));
}

void put(wire::Ready::Builder out, const Ready& ready) {
  out.setWeightBytes(ready.weight_bytes);
  out.setKvBytes(ready.kv_bytes);
  out.setWorkspaceBytes(ready.workspace_bytes);
  out.setLoadSeconds(ready.load_seconds);
  out.setEndpoint(one_line(ready.endpoint));
  out.setDevice(one_line(ready.device));
  out.setBytesFree(ready.bytes_free);
  auto contents = out.initContents(ready.contents.size());
  for (unsigned i = 0; i < contents.size(); ++i) contents.set(i, ready.contents[i]);
}

// A fault must arrive: too long a text is cut, not refused.
void put(wire::FaultReport::Builder out, const FaultReport& fault) {
  out.setKind(static_cast<uint8_t>(fault.kind));
  out.setWhat(one_line(fault.what.substr(0, kTextBytesMax)));
  out.setWhere(one_line(fault.where.substr(0, kTextBytesMax)));
  out.setFix(one_line(fault.fix.text.substr(0, kTextBytesMax)));
  out.setSetting(static_cast<uint8_t>(fault.fix.setting));
}

void put(wire::CardLink::Builder out, const CardLink& link) {
  out.setStep(static_cast<uint8_t>(link.step));
  out.setNumber(link.number);
  out.setPayloadBytes(link.payload_bytes);
  out.setCard(one_line(link.card));
  out.setReason(one_line(link.reason.substr(0, kTextBytesMax)));
}

void put_hops(wire::Message::Builder out, const std::vector<Hop>& hops) {
  if (hops.empty()) return;
  auto list = out.initHops(hops.size());
  for (unsigned i = 0; i < list.size(); ++i) {
    const Hop& hop = hops[i];
    list[i].setPeer(hop.peer);
    list[i].setQueueUs(hop.queue_us);
    list[i].setComputeUs(hop.compute_us);
    list[i].setHeaderBytes(hop.header_bytes);
    list[i].setPayloadBytes(hop.payload_bytes);
  }
}

void put_numbers(wire::Message::Builder out, const Header& h) {
  out.setProtocol(h.protocol);
  out.setKind(static_cast<uint16_t>(h.kind));
  out.setSource(h.source);
  out.setDestination(h.destination);
  out.setEpoch(h.epoch);
  out.setIncarnation(h.incarnation);
  out.setSession(h.session);
  out.setAnswer(h.key.answer);
  out.setCanvas(h.key.canvas);
  out.setStep(h.key.step);
  out.setRequest(h.request);
  out.setKvLengthBefore(h.kv_length_before);
  out.setFirstPosition(h.first_position);
  out.setRows(h.rows);
  out.setDtype(static_cast<uint8_t>(h.dtype));
  out.setLast(h.last);
  out.setTemperature(h.temperature);
  out.setSeed(h.key.seed);
  out.setForkOf(h.fork_of);
  out.setDigestAlgorithm(h.digest ? kXxh3 : 0);
  out.setDigest(h.digest);
}

void put_body(wire::Message::Body::Builder out, const Message& message) {
  if (message.hello) put(out.initHello(), *message.hello);
  if (message.proof) out.initProof().setMac(data(message.proof->mac));
  if (message.load) put(out.initLoad(), *message.load);
  if (message.ready) put(out.initReady(), *message.ready);
  if (message.fault) put(out.initFault(), *message.fault);
  if (message.heartbeat) out.initHeartbeat().setTaken(message.heartbeat->taken);
  if (message.card_link) put(out.initCardLink(), *message.card_link);
}

}  // namespace

std::vector<std::byte> encode_header(const Message& message) {
  check_limits(message);
  capnp::word scratch[kFirstSegmentWords] = {};
  capnp::MallocMessageBuilder builder(kj::arrayPtr(scratch, kFirstSegmentWords));
  wire::Message::Builder out = builder.initRoot<wire::Message>();
  put_numbers(out, message.header);
  put_hops(out, message.header.hops);
  put_body(out.getBody(), message);
  out.setPayloadBytes(message.payload.bytes);
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(builder);
  const auto bytes = words.asBytes();
  if (bytes.size() > kHeaderBytesMax)
    throw Fault(FaultKind::input, "the header has length " + std::to_string(bytes.size()) +
                                      "; a message carries at most " +
                                      std::to_string(kHeaderBytesMax));
  std::vector<std::byte> frame(bytes.size());
  std::memcpy(frame.data(), bytes.begin(), bytes.size());
  return frame;
}

}  // namespace potluck
