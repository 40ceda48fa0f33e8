// Message: what travels between the coordinator and the workers: a small header and a raw payload
// behind it. The schema is transport/wire/protocol.capnp; this is its C++ value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "topology/base/fault.h"
#include "topology/base/step_key.h"
#include "topology/model/fingerprint.h"
#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"

namespace potluck {

inline constexpr uint16_t kProtocolVersion = 2;
inline constexpr PeerId kUnassignedPeer = 0xFFFF;  // a worker before its Load

enum class MessageKind : uint16_t {
  // Links: the first message each way on a new link.
  hello = 1,
  // Control: coordinator → worker, and the worker's answers.
  load = 2,   // a plan, and which of its workers you are
  ready = 3,  // loaded; what it took
  // These three go to the head and ride round the ring in order with the data.
  open = 4,        // a session (optionally a fork of another)
  close = 5,       // forget a session
  truncate = 6,    // a session keeps its first kv_length_before tokens
  cancel = 7,      // drop what is queued for a session
  fault = 8,       // either way; ends what it names
  heartbeat = 9,   // sent and consumed by transports, as goodbye; never seen by state machines
  shutdown = 10,   // worker: leave the ring and wait for the next coordinator, or exit if local
  goodbye = 11,    // the last message each way on a link; its fault says why
  card_link = 14,  // sent and consumed by transport/nccl, but for a worker's wish for such a link
  proof = 15,      // links: of the ring's secret, between neighbours, behind the hello
  join = 12,       // every worker is loaded: connect to the next
  joined = 13,     // the next is connected
  drain = 16,      // worker → coordinator: it wishes to leave the ring, or not to come back now
  // Data: round the ring.
  encode = 20,       // coordinator → head: ids; head → … → last stage: activations
  encode_done = 21,  // last stage → coordinator
  denoise = 22,  // coordinator → head: ids; head → stages → head: activations; see Header::source
  candidates = 23  // head → coordinator
};
const char* message_kind_name(MessageKind kind);

// Where a payload lies. What is on a card, is on the card of the worker that sends or receives it.
enum class MemoryKind : uint8_t { host, card };

// Whoever makes a payload has written it when it is sent: nothing is still enqueued that does.
struct Payload {
  const std::byte* data = nullptr;
  size_t bytes = 0;
  MemoryKind memory = MemoryKind::host;
  std::shared_ptr<const void> owner;  // keeps data alive; a transport hands out its frame this way
};
Payload copy_payload(const void* data, size_t bytes);
Payload own_payload(std::vector<std::byte> bytes);

// One record a worker appends on the way round: what it received, how long it took.
struct Hop {
  PeerId peer = 0;
  uint32_t queue_us = 0;  // between receipt and start
  uint32_t compute_us = 0;
  uint64_t payload_bytes = 0;  // of the message received
  uint32_t header_bytes = 0;   // everything else of it in application bytes
};

// A hello is read by whoever is at the other end: it says nothing of the machine or the model.
// Neighbours of a ring leave out the name, and the ring, until they have proved that they are in
// it.
struct Hello {
  std::string software;  // "potluck 0.1.0"
  std::string name;      // the sender's
  std::string nonce;     // of who wants a proof (transport/proof); empty: none is wanted
};

struct Proof {
  std::string mac;
};

struct Load {
  Plan plan;
  PeerId you = 0;
  Fingerprint model;  // the coordinator's copy: refuse if yours differs
  // What the workers of this ring know and nobody else; empty: neighbours prove nothing.
  std::string secret;
};

struct Ready {
  uint64_t weight_bytes = 0, kv_bytes = 0, workspace_bytes = 0;
  double load_seconds = 0;
  // Room in the protocol that no worker fills yet: the digests of its layers in order (the head:
  // one), and where its data link listens.
  std::vector<Digest> contents;
  std::string endpoint;
  std::string device;       // what computes, as people call it
  uint64_t bytes_free = 0;  // of it when the worker started, or what the worker was allowed
};

struct FaultReport {
  FaultKind kind = FaultKind::world;
  std::string what;
  std::string where;
  Fix fix;
};

struct Heartbeat {
  uint64_t taken = 0;  // messages of the link that the sender's owner has taken so far
};

// The two ends of a link say this of payloads that go from card to card (transport/nccl).
struct CardLink {
  enum class Step : uint8_t {
    offer,      // the payload is NCCL's unique id; without one it is a worker's wish for the link
    accept,     // the receiver makes the communicator too
    refuse,     // there can be none, and `reason` says why
    payload,    // of a data message: its payload of payload_bytes is the number-th that NCCL brings
    taken,      // the receiver has this number and all before it
    stopped,    // the receiver gives NCCL up
    withdrawn,  // the sender gives NCCL up
    again       // the payload is the number-th, which NCCL has not brought
  };
  Step step = Step::offer;
  uint64_t number = 0, payload_bytes = 0;
  std::string card;    // offer: whose card it is, and which of all
  std::string reason;  // refuse, stopped, withdrawn
};

struct Header {
  MessageKind kind = MessageKind::heartbeat;
  uint16_t protocol = kProtocolVersion;
  uint64_t incarnation = 0;  // of the coordinator: random at its start
  uint32_t epoch = 0;        // of the plan
  // The head tells a canvas that is new (from the coordinator) from one that comes back (from the
  // last stage) by the source.
  PeerId source = 0, destination = 0;
  uint64_t session = 0;  // never reused within an incarnation
  StepKey key;           // of a data message
  uint32_t request = 0;  // the coordinator's number of it; 0: of none
  int32_t kv_length_before = 0;
  int32_t first_position = 0;
  int32_t rows = 0;
  DType dtype = DType::f32;  // of an activation payload
  bool last = false;         // encode: the last chunk of its message
  double temperature = 1.0;
  uint64_t fork_of = 0;  // open: the session to copy; 0: none. Workers refuse to fork yet
  uint64_t digest = 0;   // of the payload (digest_bytes); 0: none
  std::vector<Hop> hops;
};

// Whose message it is: a ring's, which is one load of a plan by one coordinator. What belongs to
// another ring than the receiver's is stale.
struct RingId {
  uint64_t incarnation = 0;
  uint32_t epoch = 0;
  bool operator==(const RingId&) const = default;
};
void stamp(Header& header, RingId ring);  // the one place that writes the two into a header
RingId ring_of(const Header& header);

struct Message {
  Header header;
  // At most one body, as the kind says (a goodbye's is `fault`).
  std::optional<Hello> hello;
  std::optional<Proof> proof;
  std::optional<Load> load;
  std::optional<Ready> ready;
  std::optional<FaultReport> fault;
  std::optional<Heartbeat> heartbeat;
  std::optional<CardLink> card_link;
  Payload payload;
  uint32_t wire_header_bytes = 0;  // set by the receiving transport
};

// Who a party is: what it says of itself on every link, and on every message that it begins; and
// whom it takes calls from.
struct Identity {
  PeerId self = kCoordinatorPeer;
  uint64_t incarnation = 0;
  uint32_t epoch = 0;
  Hello hello;
  // Peers that may call, each but the coordinator for this ring alone; none given: any, for any.
  std::optional<std::vector<PeerId>> callers;
  // The ring's secret, which a peer proves to know on every link, be it ours or theirs; empty:
  // nobody proves anything. A coordinator never does.
  std::string secret;
  // The public keys of which a caller must have one where links are locked.
  std::map<PeerId, std::vector<std::string>> keys;
  // How much may have come from a caller that was not read yet; 0: whatever links hold.
  uint64_t unread_bytes_max = 0;
};
// A ring's stamp, and the source.
void stamp(Header& header, const Identity& from);
Message message_from(const Identity& from, MessageKind kind, PeerId to);

// Throws Fault{input} naming the field and its limit if the message passes one of those below; the
// payload is not read. A fault's text has none: it is cut on the way.
void check_limits(const Message& message);

// Named limits; every length on the wire is checked against one before anything is allocated. A
// model's own are in model_spec.h.
inline constexpr size_t kHeaderBytesMax = 256 * 1024;  // a Load of 256 stages fits well
inline constexpr size_t kPayloadBytesMax = 256u * 1024 * 1024;
inline constexpr size_t kTextBytesMax = 4096;  // of any one string
inline constexpr int kHopsMax = kMaxStages + 4;
inline constexpr size_t kSignatureBytesMax = 512;

}  // namespace potluck
