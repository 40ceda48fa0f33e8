// The bytes of a first frame as a message: nothing that a peer can send gets further than a Fault.
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cmath>
#include <cstring>
#include <string>

#include "protocol.capnp.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/base/version.h"
#include "transport/proof/ring_proof.h"
#include "transport/wire/wire.h"

namespace potluck {
namespace {

constexpr uint8_t kDigestAlgorithmMax = 1;  // XXH3
constexpr int kNestingMax = 8;              // structs within structs; the schema's deepest is 5

[[noreturn]] void refuse(const std::string& what) {
  throw Fault(FaultKind::refused, "a message cannot be read: " + what);
}

void check_length(const std::string& field, size_t found, size_t most) {
  if (found > most)
    refuse(field + " has length " + std::to_string(found) + ", at most " + std::to_string(most));
}

template <typename Number>
Number within(const char* field, Number value, Number least, Number most) {
  if (value < least || value > most)
    refuse(std::string(field) + " is " + std::to_string(value) + ", not " + std::to_string(least) +
           " to " + std::to_string(most));
  return value;
}

int32_t position(const char* field, int32_t value) {
  return within(field, value, 0, kPositionsMax);
}

double finite(const char* field, double value) {
  if (!std::isfinite(value) || value < 0)
    refuse(std::string(field) + " is " + std::to_string(value) + ", not a number of at least 0");
  return value;
}

PeerId peer(const char* field, uint16_t value) {
  if (value >= stage_peer(kMaxStages) && value != kUnassignedPeer)
    refuse(std::string(field) + " is peer " + std::to_string(value) + ", which no plan has");
  return value;
}

DType dtype(const char* field, uint8_t value) {
  const std::optional<DType> type = dtype_from_ggml(value);
  if (!type) refuse(std::string(field) + " is " + std::to_string(value) + ", no known dtype");
  return *type;
}

// Texts end in logs and on terminals: a single line without what drives one.
std::string text(const char* field, capnp::Text::Reader value) {
  check_length(field, value.size(), kTextBytesMax);
  const std::string text(value.cStr(), value.size());
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(utf8_length(rest)))
    if (const char32_t code = code_point(rest); drives_terminal(code))
      refuse(std::string(field) + " holds the control character " + std::to_string(code));
  return text;
}

// As long as it must be, or empty.
std::string bytes_of(const char* field, capnp::Data::Reader value, size_t bytes) {
  if (value.size() != 0 && value.size() != bytes)
    refuse(std::string(field) + " has length " + std::to_string(value.size()) + ", not " +
           std::to_string(bytes));
  return std::string(value.asChars().begin(), value.size());
}

std::vector<Digest> digests(const char* field, capnp::List<uint64_t>::Reader list) {
  check_length(field, list.size(), kLayersMax);
  std::vector<Digest> values;
  for (const Digest value : list) values.push_back(value);
  return values;
}

Fingerprint read(wire::Fingerprint::Reader in) {
  return {in.getSpec(), in.getHead(), digests("model.layers", in.getLayers())};
}

Hello read(wire::Hello::Reader in) {
  Hello hello;
  hello.software = text("hello.software", in.getSoftware());
  hello.name = text("hello.name", in.getName());
  hello.nonce = bytes_of("hello.nonce", in.getNonce(), kNonceBytes);
  return hello;
}

WorkerPlan read(wire::WorkerPlan::Reader in) {
  WorkerPlan worker;
  worker.name = text("plan.name", in.getName());
  worker.endpoint = text("plan.endpoint", in.getEndpoint());
  worker.device = text("plan.device", in.getDevice());
  worker.layers.begin = within("plan.layerBegin", in.getLayerBegin(), 0, kLayersMax);
  worker.layers.end = within("plan.layerEnd", in.getLayerEnd(), 0, kLayersMax);
  worker.threads = within("plan.threads", in.getThreads(), 0, kThreadsMax);
  worker.hop_type = dtype("plan.hop", in.getHop());
  worker.memory_bytes = in.getMemoryBytes();
  worker.by_nccl = in.getByNccl();
  worker.key = text("plan.key", in.getKey());
  return worker;
}

Plan read(wire::Plan::Reader in) {
  Plan plan;
  plan.epoch = in.getEpoch();
  plan.head = read(in.getHead());
  const auto stages = in.getStages();
  check_length("plan.stages", stages.size(), kMaxStages);
  for (const auto stage : stages) plan.stages.push_back(read(stage));
  plan.stream = dtype("plan.stream", in.getStream());
  plan.kv = dtype("plan.kv", in.getKv());
  plan.ctx_size = position("plan.ctxSize", in.getCtxSize());
  plan.sessions = position("plan.sessions", in.getSessions());
  plan.chunk = position("plan.chunk", in.getChunk());
  plan.slots = position("plan.slots", in.getSlots());
  plan.precision = in.getFast() ? Precision::fast : Precision::exact;
  return plan;
}

Load read(wire::Load::Reader in) {
  return {read(in.getPlan()), peer("load.you", in.getYou()), read(in.getModel()),
          bytes_of("load.secret", in.getSecret(), kRingSecretBytes)};
}

Ready read(wire::Ready::Reader in) {
  Ready ready;
  ready.weight_bytes = in.getWeightBytes();
  ready.kv_bytes = in.getKvBytes();
  ready.workspace_bytes = in.getWorkspaceBytes();
  ready.load_seconds = finite("ready.loadSeconds", in.getLoadSeconds());
  ready.contents = digests("ready.contents", in.getContents());
  ready.endpoint = text("ready.endpoint", in.getEndpoint());
  ready.device = text("ready.device", in.getDevice());
  ready.bytes_free = in.getBytesFree();
  return ready;
}

FaultReport read(wire::FaultReport::Reader in) {
  const uint8_t most = static_cast<uint8_t>(FaultKind::canceled);
  FaultReport fault;
  fault.kind = static_cast<FaultKind>(within<uint8_t>("fault.kind", in.getKind(), 0, most));
  fault.what = text("fault.what", in.getWhat());
  fault.where = text("fault.where", in.getWhere());
  fault.fix.text = text("fault.fix", in.getFix());
  if (in.getSetting() <= static_cast<uint8_t>(kLastSetting))
    fault.fix.setting = static_cast<Setting>(in.getSetting());
  return fault;
}

CardLink read(wire::CardLink::Reader in) {
  const uint8_t most = static_cast<uint8_t>(CardLink::Step::again);
  CardLink link;
  link.step = static_cast<CardLink::Step>(within<uint8_t>("cardLink.step", in.getStep(), 0, most));
  link.number = in.getNumber();
  link.payload_bytes =
      within<uint64_t>("cardLink.payloadBytes", in.getPayloadBytes(), 0, kPayloadBytesMax);
  link.card = text("cardLink.card", in.getCard());
  link.reason = text("cardLink.reason", in.getReason());
  return link;
}

std::vector<Hop> read_hops(wire::Message::Reader in) {
  const auto list = in.getHops();
  check_length("hops", list.size(), kHopsMax);
  std::vector<Hop> hops;
  for (const auto from : list) {
    Hop hop;
    hop.peer = peer("hop.peer", from.getPeer());
    hop.queue_us = from.getQueueUs();
    hop.compute_us = from.getComputeUs();
    hop.payload_bytes =
        within<uint64_t>("hop.payloadBytes", from.getPayloadBytes(), 0, kPayloadBytesMax);
    hop.header_bytes =
        within<uint32_t>("hop.headerBytes", from.getHeaderBytes(), 0, kHeaderBytesMax);
    hops.push_back(hop);
  }
  return hops;
}

Header read_header(wire::Message::Reader in) {
  Header h;
  h.kind = static_cast<MessageKind>(in.getKind());
  h.source = peer("source", in.getSource());
  h.destination = peer("destination", in.getDestination());
  h.epoch = in.getEpoch();
  h.incarnation = in.getIncarnation();
  h.session = in.getSession();
  h.key.answer = in.getAnswer();
  h.key.canvas = in.getCanvas();
  h.key.step = in.getStep();
  h.request = in.getRequest();
  h.kv_length_before = position("kvLengthBefore", in.getKvLengthBefore());
  h.first_position = position("firstPosition", in.getFirstPosition());
  h.rows = position("rows", in.getRows());
  h.dtype = dtype("dtype", in.getDtype());
  h.last = in.getLast();
  h.temperature = finite("temperature", in.getTemperature());
  h.key.seed = in.getSeed();
  h.fork_of = in.getForkOf();
  within<uint8_t>("digestAlgorithm", in.getDigestAlgorithm(), 0, kDigestAlgorithmMax);
  h.digest = in.getDigestAlgorithm() ? in.getDigest() : 0;
  h.hops = read_hops(in);
  check_length("signature", in.getSignature().size(), kSignatureBytesMax);
  return h;
}

using Body = wire::Message::Body;

// The body that a kind must have, or nothing for a kind that there is not.
std::optional<Body::Which> body_of(MessageKind kind) {
  switch (kind) {
    case MessageKind::hello:
      return Body::HELLO;
    case MessageKind::load:
      return Body::LOAD;
    case MessageKind::ready:
      return Body::READY;
    case MessageKind::fault:
    case MessageKind::goodbye:
      return Body::FAULT;
    case MessageKind::heartbeat:
      return Body::HEARTBEAT;
    case MessageKind::card_link:
      return Body::CARD_LINK;
    case MessageKind::proof:
      return Body::PROOF;
    case MessageKind::open:
    case MessageKind::close:
    case MessageKind::truncate:
    case MessageKind::join:
    case MessageKind::joined:
    case MessageKind::drain:
    case MessageKind::cancel:
    case MessageKind::shutdown:
    case MessageKind::encode:
    case MessageKind::encode_done:
    case MessageKind::denoise:
    case MessageKind::candidates:
      return Body::NONE;
  }
  return std::nullopt;
}

bool may_come_by_card(MessageKind kind) {
  return kind == MessageKind::encode || kind == MessageKind::denoise;
}

// A payload of any other would be kept for as long as its message is, and nobody reads it.
bool may_have_payload(MessageKind kind) {
  return may_come_by_card(kind) || kind == MessageKind::candidates ||
         kind == MessageKind::card_link;
}

void read_body(Body::Reader in, Message& out) {
  const MessageKind kind = out.header.kind;
  const std::optional<Body::Which> expected = body_of(kind);
  if (!expected) refuse("kind " + std::to_string(static_cast<int>(kind)) + " is unknown");
  if (in.which() != *expected && !(in.isCardLink() && may_come_by_card(kind)))
    refuse(std::string(message_kind_name(kind)) + " has body " + std::to_string(in.which()) +
           ", not " + std::to_string(*expected));
  if (in.isHello()) out.hello = read(in.getHello());
  if (in.isProof()) out.proof = Proof{bytes_of("proof.mac", in.getProof().getMac(), kProofBytes)};
  if (in.isLoad()) out.load = read(in.getLoad());
  if (in.isReady()) out.ready = read(in.getReady());
  if (in.isFault()) out.fault = read(in.getFault());
  if (in.isCardLink()) out.card_link = read(in.getCardLink());
  if (in.isHeartbeat()) out.heartbeat = Heartbeat{in.getHeartbeat().getTaken()};
}

void check_protocol(wire::Message::Reader in) {
  if (in.getProtocol() == kProtocolVersion) return;
  const auto body = in.getBody();
  std::string who = "the peer";
  if (body.isHello())
    who = text("hello.name", body.getHello().getName()) + " (" +
          text("hello.software", body.getHello().getSoftware()) + ")";
  if (body.isFault()) who = text("fault.where", body.getFault().getWhere());
  throw Fault(FaultKind::refused, std::string(kSoftware) + " speaks protocol " +
                                      std::to_string(kProtocolVersion) + ", " + who + " speaks " +
                                      std::to_string(in.getProtocol()) +
                                      "; install the same version on both");
}

Message read_message(wire::Message::Reader in, size_t payload_bytes) {
  check_protocol(in);
  Message message;
  message.header = read_header(in);
  if (in.getPayloadBytes() != payload_bytes)
    refuse("payloadBytes is " + std::to_string(in.getPayloadBytes()) + ", but " +
           std::to_string(payload_bytes) + " bytes follow");
  check_length("the payload", payload_bytes, kPayloadBytesMax);
  if (payload_bytes > 0 && !may_have_payload(message.header.kind))
    refuse(std::string(message_kind_name(message.header.kind)) + " has a payload of " +
           std::to_string(payload_bytes) + " bytes, not 0");
  read_body(in.getBody(), message);
  return message;
}

}  // namespace

Message decode_header(const void* header, size_t header_bytes, size_t payload_bytes) {
  check_length("the header", header_bytes, kHeaderBytesMax);
  if (header_bytes == 0 || header_bytes % sizeof(capnp::word) != 0)
    refuse("a header of " + std::to_string(header_bytes) + " bytes, not a multiple of 8");
  kj::Array<capnp::word> words = kj::heapArray<capnp::word>(header_bytes / 8);
  std::memcpy(words.asBytes().begin(), header, header_bytes);  // aligned
  capnp::ReaderOptions limits;
  limits.traversalLimitInWords = kHeaderBytesMax / 8;
  limits.nestingLimit = kNestingMax;
  try {
    capnp::FlatArrayMessageReader reader(words, limits);
    Message message = read_message(reader.getRoot<wire::Message>(), payload_bytes);
    message.wire_header_bytes = header_bytes;
    return message;
  } catch (const kj::Exception& broken) {
    refuse("it is not Cap'n Proto (" + one_line(broken.getDescription().cStr()) + ")");
  }
}

}  // namespace potluck
