# The protocol between potluck's processes, version 2.
#
# A link is one connection. A sequence of messages travels on it, each of one or two frames:
#
#   frame 1   a Message of this file, unpacked, with Cap'n Proto's segment table in front
#   frame 2   the payload, raw little-endian values; absent when payloadBytes is 0,
#             as it is but for encode, denoise, candidates and card_link
#
# The side that dials says hello first; the side that listens answers with its own hello, or with a
# goodbye that gives the reason. Nothing else may come before. From then on both send a heartbeat
# every half second; a link on which nothing arrives for two seconds is given up by whoever notices.
# A coordinator's hello names its incarnation; an answer names no ring, and neither does a goodbye to a
# stranger.
#
# Neighbours of a ring are there only for each other. Where the Load brought a secret, each proves that
# it has it before anything else is said, and before their hellos name themselves or the ring:
#
#   dialer     hello with a nonce; its source is who it wants to be
#   listener   hello with a nonce, from nobody (65535)
#   dialer     proof: crypto_auth by the secret over who it is, both peers and both nonces
#   listener   proof, of the same with its own id in front; the link is up
#
# Without a secret a dialer's hello names the ring instead (incarnation and epoch). Links by TCP are
# locked (CURVE) unless both sides were told to do without; there a peer also has the key that the
# plan, or the worker's list of coordinators, names for it.
#
# A worker takes calls from one coordinator, and once it is loaded, from the worker before it in that
# ring. It calls the next worker itself. Only the coordinator and the worker before are listened to:
#
#   from the coordinator       load, join, cancel, shutdown; and to the head open, close, encode, denoise
#   from the worker before     open, close, encode, denoise; but to the head denoise alone
#   from workers               ready, joined, fault, drain; candidates from the head, encode_done from the
#                              last stage
#
# A worker gives a coordinator up that has nothing loaded for ten seconds. One that wishes to leave its
# ring, or is asked back and does not want to come yet, says drain; the coordinator ends the link when
# the ring can do without it. A ring that is loaded again has the next epoch, and its sessions are opened
# and encoded again.
#
# A goodbye is the last message each way: one side sends it behind everything it had to say, the
# other answers with its own, and the connection is closed.
#
# A message that breaks a rule of this file ends its link, with a goodbye that says why. Limits are
# named in transport/message.h; every length is checked before memory is taken for it.
#
# Changing this file: fields may be added at the end (older builds skip them), never renumbered. What
# an older build would misunderstand needs a new protocol version.
@0xaf33d565ef244e14;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("potluck::wire");

struct Message {
  protocol @0 :UInt16;
  # Stands first for ever: read and compared before anything else. Two builds whose numbers differ
  # refuse each other.

  kind @1 :UInt16;
  # Decides which body there must be (none where none is named):
  #   links    1 hello (hello) · 9 heartbeat (heartbeat) · 11 goodbye (fault: its text is the reason)
  #            14 card_link (cardLink) · 15 proof (proof)
  #   control  2 load (load) · 3 ready (ready) · 4 open · 5 close · 6 truncate · 7 cancel
  #            8 fault (fault) · 10 shutdown · 12 join · 13 joined · 16 drain
  #   data     20 encode · 21 encode_done · 22 denoise · 23 candidates
  # A truncate's kvLengthBefore is how many tokens the session keeps. A denoise from the coordinator holds ids, another activations. An
  # encode or denoise whose payload goes from card to card has cardLink as its body.

  source @2 :UInt16;
  destination @3 :UInt16;
  # Peers of the plan: 0 the coordinator, 1 the head, 2 + k stage k, 65535 not assigned yet. The
  # source of a dialer's hello is who it will be on this link; a receiver goes by that, not by the
  # source of what follows.

  epoch @4 :UInt32;
  # Generation of the plan; what carries an older one is stale.
  incarnation @5 :UInt64;
  # Of the coordinator: random when it starts.

  session @6 :UInt64;
  # Whose KV; never reused within an incarnation.
  answer @7 :UInt32;
  canvas @8 :UInt32;
  step @9 :UInt32;
  request @10 :UInt32;
  # The coordinator's number of the request; 0 for none.
  kvLengthBefore @11 :Int32;
  # Tokens that the session's KV must hold before this runs: a stage at another length refuses.
  firstPosition @12 :Int32;
  rows @13 :Int32;
  # Rows of the payload, and the position of the first.

  dtype @14 :UInt8;
  # Of an activation payload; ggml's type ids: 0 f32, 30 bf16, 8 q8_0 (blocks of 32).
  last @15 :Bool;
  # encode: the last chunk.
  temperature @16 :Float64 = 1.0;
  seed @17 :UInt64;
  # denoise: the step's temperature and the request's noise key.
  forkOf @18 :UInt64;
  # open: the session to copy; 0 none. Workers refuse to fork yet.

  payloadBytes @19 :UInt64;
  # Exactly the bytes of frame 2.
  digestAlgorithm @20 :UInt8;
  # 0 none, 1 XXH3 with 64 bits.
  digest @21 :UInt64;
  # Of the payload. A receiver compares; a difference ends the link.

  hops @22 :List(Hop);
  # One for each worker passed, oldest first.

  signature @23 :Data;
  # Room for a signature by the source; empty in this version.

  body :union {
    none @24 :Void;
    hello @25 :Hello;
    load @26 :Load;
    ready @27 :Ready;
    fault @28 :FaultReport;
    heartbeat @29 :Heartbeat;
    cardLink @30 :CardLink;
    proof @31 :Proof;
  }
}

struct Hop {
  # A worker says what it received, and how long that waited and was computed.
  peer @0 :UInt16;
  queueUs @1 :UInt32;
  computeUs @2 :UInt32;
  headerBytes @3 :UInt32;
  payloadBytes @4 :UInt64;
  inDigest @5 :UInt64;
  outDigest @6 :UInt64;
  # Room for the digests of what a worker received and sent, for audits; 0 in this version.
}

struct Hello {
  # Nothing of the machine or of the model: who reads it may be anybody.
  software @0 :Text;
  # "potluck 0.1.0"
  name @1 :Text;
  nonce @2 :Data;
  # Of who wants a proof: 32 random bytes.
}

struct Proof {
  mac @0 :Data;
  # 32 bytes; transport/proof/ring_proof.h has the text that it is of.
}

struct Fingerprint {
  # Models are compared by what they hold; 0 stands for "not computed".
  spec @0 :UInt64;
  head @1 :UInt64;
  layers @2 :List(UInt64);
}

struct Load {
  plan @0 :Plan;
  you @1 :UInt16;
  # Which of the plan's workers the receiver is to be.
  model @2 :Fingerprint;
  # The coordinator's copy. A worker whose copy differs refuses.
  secret @3 :Data;
  # Of this ring's neighbours, 32 random bytes; empty: they prove nothing.
}

struct Plan {
  epoch @0 :UInt32;
  head @1 :WorkerPlan;
  stages @2 :List(WorkerPlan);
  # In ring order.
  stream @3 :UInt8;
  kv @4 :UInt8;
  ctxSize @5 :Int32;
  sessions @6 :Int32;
  chunk @7 :Int32;
  slots @8 :Int32;
  fast @9 :Bool;
  # Products in lower precision; else exact.
}

struct WorkerPlan {
  name @0 :Text;
  endpoint @1 :Text;
  device @2 :Text;
  layerBegin @3 :Int32;
  layerEnd @4 :Int32;
  # Half-open; both 0 for the head.
  threads @5 :Int32;
  hop @6 :UInt8;
  memoryBytes @7 :UInt64;
  byNccl @8 :Bool;
  # What it sends on goes from card to card.
  key @9 :Text;
  # The public key of whoever listens at the endpoint, 64 hexadecimal digits; empty: the link with it
  # is not locked. A worker is told its own key and those of its neighbours.
}

struct Ready {
  weightBytes @0 :UInt64;
  kvBytes @1 :UInt64;
  workspaceBytes @2 :UInt64;
  loadSeconds @3 :Float64;
  contents @4 :List(UInt64);
  # Digests of the layers it owns in order; of the head: one. Empty in this version.
  endpoint @5 :Text;
  # Where its data link listens. Empty in this version.
  device @6 :Text;
  # What computes, and the bytes that it had free when the worker started.
  bytesFree @7 :UInt64;
}

struct FaultReport {
  kind @0 :UInt8;
  # 0 input, 1 memory, 2 lost, 3 refused, 4 world, 5 canceled.
  what @1 :Text;
  where @2 :Text;
  # Who saw it; of a goodbye: who says it, and its software.
  fix @3 :Text;
  # What would help, in words.
  setting @4 :UInt8;
  # Which setting it would change: 0 none, 1 model, 2 context, 3 stages, 4 split, 5 steps, 6 step
  # timeout, 7 chat format, 8 device, 9 plain links. Others are read as none.
}

struct Heartbeat {
  taken @0 :UInt64;
  # Messages of this link, links' own apart, that the sender's owner has taken so far. Whoever sends
  # keeps at most kLinkQueueMax ahead of it.
}

struct CardLink {
  # Payloads of one direction of a link may go from card to card by NCCL, if both sides agree:
  # whoever sends them offers, whoever receives accepts, and both make the communicator. Payloads
  # are numbered from 0. What the receiver has not said to have taken, the sender can send again as
  # the payload of a message; each side gives NCCL up as soon as the other says so.
  step @0 :UInt8;
  # Of who sends payloads: 0 offer (frame 2 is NCCL's unique id) · 3 payload (of this message, which
  # NCCL brings) · 6 withdrawn (NCCL is given up) · 7 again (frame 2 is a payload that NCCL has not
  # brought). Of who receives them: 1 accept · 2 refuse · 4 taken (this number and all before it) ·
  # 5 stopped (NCCL is given up).
  number @1 :UInt64;
  payloadBytes @2 :UInt64;
  # Of payload: its number, and how long it is.
  card @3 :Text;
  # offer: whose card it is, and which of all: "cuda card 0000:01:00.0 of machine …".
  reason @4 :Text;
  # refuse, stopped, withdrawn: why.
}
