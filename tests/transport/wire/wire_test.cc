// The wire: everything there and back, and nothing else in.
#include "transport/wire/wire.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "protocol.capnp.h"
#include "tests/transport/wire/wire_samples.h"
#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {

using testing::HasSubstr;

Message back(const Message& message) {
  const std::vector<std::byte> header = encode_header(message);
  return decode_header(header.data(), header.size(), message.payload.bytes);
}

// The refusal that decoding gives for a message made by hand.
std::string refusal(const std::function<void(wire::Message::Builder)>& make) {
  capnp::MallocMessageBuilder builder;
  auto root = builder.initRoot<wire::Message>();
  root.setProtocol(kProtocolVersion);
  root.setKind(static_cast<uint16_t>(MessageKind::open));
  make(root);
  const auto words = capnp::messageToFlatArray(builder);
  try {
    decode_header(words.begin(), words.size() * sizeof(capnp::word), 0);
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::refused);
    EXPECT_THAT(fault.text(), testing::Not(HasSubstr("\n")));
    return fault.text();
  }
  return "accepted";
}

wire::Hello::Builder hello_in(wire::Message::Builder m) {
  m.setKind(static_cast<uint16_t>(MessageKind::hello));
  return m.getBody().initHello();
}
wire::Load::Builder load_in(wire::Message::Builder m) {
  m.setKind(static_cast<uint16_t>(MessageKind::load));
  return m.getBody().initLoad();
}
wire::Plan::Builder plan_in(wire::Message::Builder m) {
  return load_in(m).initPlan();
}
wire::Ready::Builder ready_in(wire::Message::Builder m) {
  m.setKind(static_cast<uint16_t>(MessageKind::ready));
  return m.getBody().initReady();
}
wire::FaultReport::Builder fault_in(wire::Message::Builder m) {
  m.setKind(static_cast<uint16_t>(MessageKind::fault));
  return m.getBody().initFault();
}

wire::CardLink::Builder card_link_in(wire::Message::Builder m) {
  m.setKind(static_cast<uint16_t>(MessageKind::denoise));
  return m.getBody().initCardLink();
}

void expect_same(const WorkerPlan& a, const WorkerPlan& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.endpoint, b.endpoint);
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.threads, b.threads);
  EXPECT_EQ(a.memory_bytes, b.memory_bytes);
  EXPECT_EQ(a.hop_type, b.hop_type);
  EXPECT_EQ(a.by_nccl, b.by_nccl);
  EXPECT_EQ(a.key, b.key);
}

TEST(Wire, CarriesEveryNumberOfEveryKind) {
  for (const MessageKind kind : all_message_kinds()) {
    SCOPED_TRACE(message_kind_name(kind));
    const Header sent = sample_message(kind).header, h = back(sample_message(kind)).header;
    EXPECT_EQ(h.kind, kind);
    EXPECT_EQ(h.protocol, kProtocolVersion);
    EXPECT_EQ(h.incarnation, sent.incarnation);
    EXPECT_EQ(h.epoch, sent.epoch);
    EXPECT_EQ(h.source, sent.source);
    EXPECT_EQ(h.destination, sent.destination);
    EXPECT_EQ(h.session, sent.session);
    EXPECT_EQ(h.key, sent.key);
    EXPECT_EQ(h.request, sent.request);
    EXPECT_EQ(h.kv_length_before, sent.kv_length_before);
    EXPECT_EQ(h.first_position, sent.first_position);
    EXPECT_EQ(h.rows, sent.rows);
    EXPECT_EQ(h.dtype, sent.dtype);
    EXPECT_EQ(h.last, sent.last);
    EXPECT_EQ(h.temperature, sent.temperature);
    EXPECT_EQ(h.fork_of, sent.fork_of);
    EXPECT_EQ(h.digest, sent.digest);
  }
}

TEST(Wire, CarriesHops) {
  const Message message = back(sample_message(MessageKind::denoise));
  ASSERT_EQ(message.header.hops.size(), 2u);
  const Hop& hop = message.header.hops[1];
  EXPECT_EQ(hop.peer, stage_peer(0));
  EXPECT_EQ(hop.queue_us, 11u);
  EXPECT_EQ(hop.compute_us, 21u);
  EXPECT_EQ(hop.payload_bytes, 31u);
  EXPECT_EQ(hop.header_bytes, 41u);
}

TEST(Wire, CarriesAHello) {
  const Hello sent = sample_hello(), got = *back(sample_message(MessageKind::hello)).hello;
  EXPECT_EQ(got.software, sent.software);
  EXPECT_EQ(got.name, sent.name);
  EXPECT_EQ(got.nonce, sent.nonce);
}

TEST(Wire, CarriesAProofAndARingsSecret) {
  EXPECT_EQ(back(sample_message(MessageKind::proof)).proof->mac, std::string(kProofBytes, '\0'));
  EXPECT_EQ(back(sample_message(MessageKind::load)).load->secret,
            std::string(kRingSecretBytes, '\xfe'));
}

TEST(Wire, NoncesSecretsAndProofsAreWholeOrNotThere) {
  Message hello = sample_message(MessageKind::hello), load = sample_message(MessageKind::load),
          proof = sample_message(MessageKind::proof);
  hello.hello->nonce = "short";
  load.load->secret = std::string(kRingSecretBytes + 1, 'x');
  proof.proof->mac = "short";
  EXPECT_THROW(encode_header(hello), Fault);
  EXPECT_THROW(encode_header(load), Fault);
  EXPECT_THROW(encode_header(proof), Fault);
}

TEST(Wire, CarriesAPlan) {
  const Plan sent = sample_plan(3);
  const Load got = *back(sample_message(MessageKind::load)).load;
  EXPECT_EQ(got.you, stage_peer(1));
  EXPECT_EQ(got.model, (Fingerprint{1, 2, {3, 4, 5}}));
  EXPECT_EQ(got.plan.epoch, sent.epoch);
  EXPECT_EQ(got.plan.stream, sent.stream);
  EXPECT_EQ(got.plan.kv, sent.kv);
  EXPECT_EQ(got.plan.ctx_size, sent.ctx_size);
  EXPECT_EQ(got.plan.sessions, sent.sessions);
  EXPECT_EQ(got.plan.chunk, sent.chunk);
  EXPECT_EQ(got.plan.slots, sent.slots);
  expect_same(got.plan.head, sent.head);
  ASSERT_EQ(got.plan.stages.size(), sent.stages.size());
  for (size_t i = 0; i < sent.stages.size(); ++i) expect_same(got.plan.stages[i], sent.stages[i]);
}

TEST(Wire, CarriesReadyFaultAndHeartbeat) {
  const Ready ready = *back(sample_message(MessageKind::ready)).ready;
  EXPECT_EQ(ready.weight_bytes, 1u);
  EXPECT_EQ(ready.kv_bytes, 2u);
  EXPECT_EQ(ready.workspace_bytes, 3u);
  EXPECT_EQ(ready.load_seconds, 4.5);
  EXPECT_EQ(ready.contents, (std::vector<Digest>{6, 7}));
  EXPECT_EQ(ready.endpoint, "tcp://h:1");
  EXPECT_EQ(ready.device, "12 cores");
  EXPECT_EQ(ready.bytes_free, 8u);
  const FaultReport fault = *back(sample_message(MessageKind::fault)).fault;
  EXPECT_EQ(fault.kind, FaultKind::memory);
  EXPECT_EQ(fault.what, "needs 9 GiB, has 8");
  EXPECT_EQ(fault.where, "stage 1");
  EXPECT_EQ(fault.fix.text, "give it less");
  EXPECT_EQ(fault.fix.setting, Setting::context);
  EXPECT_EQ(back(sample_message(MessageKind::heartbeat)).heartbeat->taken, 99u);
}

TEST(Wire, CarriesWhatCardsSay) {
  for (const MessageKind kind : {MessageKind::card_link, MessageKind::denoise}) {
    Message sent = sample_message(MessageKind::card_link);
    sent.header.kind = kind;
    const CardLink link = back(sent).card_link.value();
    EXPECT_EQ(link.step, CardLink::Step::stopped);
    EXPECT_EQ(link.number, 17u);
    EXPECT_EQ(link.payload_bytes, 1441792u);
    EXPECT_EQ(link.card, "cuda card 1");
    EXPECT_EQ(link.reason, "it hangs");
  }
}

TEST(Wire, ADataHeaderIsSmall) {
  Message message;
  message.header.kind = MessageKind::denoise;
  EXPECT_EQ(encode_header(message).size(), 144u);
  for (size_t hops = 1; hops <= 6; ++hops) {  // a list has a word of its own
    message.header.hops.resize(hops);
    EXPECT_EQ(encode_header(message).size(), 152 + 40 * hops);
    EXPECT_EQ(back(message).wire_header_bytes, 152 + 40 * hops);
  }
}

TEST(Wire, ThePlanOf256StagesFits) {
  Message message = sample_message(MessageKind::load);
  message.load->plan = sample_plan(kMaxStages);
  message.load->model.layers.resize(kLayersMax);
  EXPECT_EQ(back(message).load->plan.stages.size(), static_cast<size_t>(kMaxStages));
}

TEST(Wire, TheLargestHeaderThatMayBeSentIsRead) {
  Message message = sample_message(MessageKind::load);
  message.load->plan = sample_plan(kMaxStages);
  const size_t room = (kHeaderBytesMax - encode_header(message).size()) / kMaxStages;
  for (WorkerPlan& stage : message.load->plan.stages) stage.device.append(room / 8 * 8, 'x');
  EXPECT_GT(encode_header(message).size(), kHeaderBytesMax - 8 * kMaxStages);
  EXPECT_EQ(back(message).load->plan.stages.back().device, message.load->plan.stages.back().device);
}

TEST(Wire, ReadsAtAnyAlignment) {
  const std::vector<std::byte> header = encode_header(sample_message(MessageKind::load));
  for (size_t shift = 0; shift < 8; ++shift) {
    std::vector<std::byte> moved(header.size() + shift);
    std::memcpy(moved.data() + shift, header.data(), header.size());
    EXPECT_EQ(decode_header(moved.data() + shift, header.size(), 0).load->you, stage_peer(1));
  }
}

TEST(Wire, TextsBecomeOneLine) {
  Message message = sample_message(MessageKind::fault);
  message.fault->what = "two\nlines\tand \x1b[31mred\x7f ü";
  EXPECT_EQ(back(message).fault->what, "two?lines?and ?[31mred? ü");
}

TEST(Wire, AFaultsTextIsCutRatherThanRefused) {
  Message message = sample_message(MessageKind::fault);
  message.fault->what = std::string(3 * kTextBytesMax, 'x');
  const std::string what = back(message).fault->what;
  EXPECT_TRUE(what.starts_with("xxx") && what.ends_with("…")) << what;
  EXPECT_LE(what.size(), kTextBytesMax);
}

TEST(Wire, WillNotSendPastALimit) {
  const auto failure = [](MessageKind kind, const std::function<void(Message&)>& change) {
    Message message = sample_message(kind);
    change(message);
    try {
      encode_header(message);
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      return fault.text();
    }
    return std::string("sent");
  };
  const std::string long_text(kTextBytesMax + 1, 'x');
  EXPECT_THAT(failure(MessageKind::hello, [&](Message& m) { m.hello->name = long_text; }),
              HasSubstr("hello.name has length 4097"));
  EXPECT_THAT(
      failure(MessageKind::load, [&](Message& m) { m.load->model.layers.resize(kLayersMax + 1); }),
      HasSubstr("model.layers has length 1025"));
  EXPECT_THAT(failure(MessageKind::load, [&](Message& m) { m.load->plan.stages.resize(257); }),
              HasSubstr("plan.stages has length 257"));
  EXPECT_THAT(failure(MessageKind::ready, [&](Message& m) { m.ready->contents.resize(1025); }),
              HasSubstr("ready.contents has length 1025"));
  EXPECT_THAT(failure(MessageKind::denoise, [&](Message& m) { m.header.hops.resize(261); }),
              HasSubstr("hops has length 261"));
  EXPECT_THAT(
      failure(MessageKind::denoise, [&](Message& m) { m.payload.bytes = kPayloadBytesMax + 1; }),
      HasSubstr("payload has length 268435457"));
  EXPECT_THAT(failure(MessageKind::load,
                      [&](Message& m) {
                        m.load->plan = sample_plan(kMaxStages);
                        for (WorkerPlan& stage : m.load->plan.stages)
                          stage.name = std::string(2000, 'x');
                      }),
              HasSubstr("the header has length"));
}

TEST(Wire, RefusesWhatPassesALimitOrMakesNoSense) {
  using M = wire::Message::Builder;
  const std::string long_text(kTextBytesMax + 1, 'x');
  const std::vector<std::pair<const char*, std::function<void(M)>>> cases = {
      {"kind 0 is unknown", [](M m) { m.setKind(0); }},
      {"kind 17 is unknown", [](M m) { m.setKind(17); }},
      {"kind 65535 is unknown", [](M m) { m.setKind(65535); }},
      {"source is peer 258", [](M m) { m.setSource(258); }},
      {"destination is peer 65534", [](M m) { m.setDestination(65534); }},
      {"kvLengthBefore is -1", [](M m) { m.setKvLengthBefore(-1); }},
      {"firstPosition is 1048577", [](M m) { m.setFirstPosition(1048577); }},
      {"rows is -2147483648", [](M m) { m.setRows(std::numeric_limits<int32_t>::min()); }},
      {"dtype is 99", [](M m) { m.setDtype(99); }},
      {"temperature is nan", [](M m) { m.setTemperature(std::nan("")); }},
      {"temperature is inf", [](M m) { m.setTemperature(HUGE_VAL); }},
      {"temperature is -0.5", [](M m) { m.setTemperature(-0.5); }},
      {"payloadBytes is 7", [](M m) { m.setPayloadBytes(7); }},
      {"digestAlgorithm is 2", [](M m) { m.setDigestAlgorithm(2); }},
      {"hops has length 261", [](M m) { m.initHops(261); }},
      {"hop.peer is peer 300", [](M m) { m.initHops(1)[0].setPeer(300); }},
      {"signature has length 513", [](M m) { m.initSignature(513); }},
      {"open has body 1, not 0", [](M m) { m.getBody().initHello(); }},
      {"hello has body 0, not 1", [](M m) { m.setKind(1); }},
      {"load has body 5, not 2", [](M m) { m.setKind(2), m.getBody().initHeartbeat(); }},
      {"hello.software has length 4097", [&](M m) { hello_in(m).setSoftware(long_text); }},
      {"hello.name holds the control character 27", [](M m) { hello_in(m).setName("\x1b[2J"); }},
      {"model.layers has length 1025", [](M m) { load_in(m).initModel().initLayers(1025); }},
      {"hop.payloadBytes is 268435457",
       [](M m) { m.initHops(1)[0].setPayloadBytes(kPayloadBytesMax + 1); }},
      {"hop.headerBytes is 262145", [](M m) { m.initHops(1)[0].setHeaderBytes(262145); }},
      {"plan.stages has length 257", [](M m) { plan_in(m).initStages(257); }},
      {"plan.stream is 4", [](M m) { plan_in(m).setStream(4); }},
      {"plan.ctxSize is -1", [](M m) { plan_in(m).setCtxSize(-1); }},
      {"plan.slots is -5", [](M m) { plan_in(m).setSlots(-5); }},
      {"plan.layerBegin is -1", [](M m) { plan_in(m).initStages(1)[0].setLayerBegin(-1); }},
      {"plan.layerEnd is 1025", [](M m) { plan_in(m).initHead().setLayerEnd(1025); }},
      {"plan.threads is 65537", [](M m) { plan_in(m).initHead().setThreads(65537); }},
      {"plan.hop is 255", [](M m) { plan_in(m).initHead().setHop(255); }},
      {"plan.endpoint has length", [&](M m) { plan_in(m).initHead().setEndpoint(long_text); }},
      {"load.you is peer 999", [](M m) { plan_in(m), m.getBody().getLoad().setYou(999); }},
      {"ready.loadSeconds is -1", [](M m) { ready_in(m).setLoadSeconds(-1); }},
      {"ready.contents has length 5000", [](M m) { ready_in(m).initContents(5000); }},
      {"fault.kind is 6", [](M m) { fault_in(m).setKind(6); }},
      {"fault.what holds the control character 10", [](M m) { fault_in(m).setWhat("a\nb"); }},
      {"fault.where has length", [&](M m) { fault_in(m).setWhere(long_text); }},
      {"fault.fix has length", [&](M m) { fault_in(m).setFix(long_text); }},
      {"open has body 6, not 0", [](M m) { m.getBody().initCardLink(); }},
      {"cardLink.step is 8", [](M m) { card_link_in(m).setStep(8); }},
      {"cardLink.payloadBytes is 268435457",
       [](M m) { card_link_in(m).setPayloadBytes(kPayloadBytesMax + 1); }},
      {"cardLink.card has length", [&](M m) { card_link_in(m).setCard(long_text); }},
      {"cardLink.reason has length", [&](M m) { card_link_in(m).setReason(long_text); }},
  };
  for (const auto& [why, make] : cases) EXPECT_THAT(refusal(make), HasSubstr(why));
  EXPECT_EQ(refusal([](M) {}), "accepted");
}

TEST(Wire, RefusesAHeaderLongerThanItsLimit) {
  const std::vector<std::byte> zeros(kHeaderBytesMax + 8);
  for (const size_t bytes : {size_t{0}, size_t{7}, size_t{12}, kHeaderBytesMax + 8}) {
    try {
      decode_header(zeros.data(), bytes, 0);
      FAIL() << bytes;
    } catch (const Fault& fault) {
      EXPECT_THAT(fault.text(), HasSubstr(std::to_string(bytes)));
    }
  }
}

TEST(Wire, RefusesAPayloadThatIsNotAsLongAsItSays) {
  Message message = sample_message(MessageKind::denoise);
  message.payload.bytes = 100;
  const std::vector<std::byte> header = encode_header(message);
  EXPECT_EQ(decode_header(header.data(), header.size(), 100).header.rows, 256);
  for (const size_t bytes : {0, 99, 101})
    EXPECT_THROW(decode_header(header.data(), header.size(), bytes), Fault) << bytes;
}

TEST(Wire, APayloadComesWithDataAlone) {
  using Kind = MessageKind;
  for (const Kind kind : all_message_kinds()) {
    Message message = sample_message(kind);
    message.payload.bytes = 8;
    const std::vector<std::byte> header = encode_header(message);
    const auto read = [&] { decode_header(header.data(), header.size(), 8); };
    if (kind == Kind::encode || kind == Kind::denoise || kind == Kind::candidates ||
        kind == Kind::card_link)
      EXPECT_NO_THROW(read()) << message_kind_name(kind);
    else
      EXPECT_THROW(read(), Fault) << message_kind_name(kind);
  }
}

// Every prefix, and every message with one bit turned: an answer or a Fault, and a message that is
// read can be sent again.
TEST(Wire, DamageIsReadOrRefused) {
  int refused = 0, read = 0;
  const auto try_it = [&](const std::vector<std::byte>& header, size_t bytes) {
    try {
      encode_header(decode_header(header.data(), bytes, 0));
      ++read;
    } catch (const Fault&) {
      ++refused;
    }
  };
  for (const MessageKind kind : all_message_kinds()) {
    std::vector<std::byte> header = encode_header(sample_message(kind));
    for (size_t bytes = 0; bytes < header.size(); ++bytes) try_it(header, bytes);
    for (size_t bit = 0; bit < 8 * header.size(); ++bit) {
      header[bit / 8] ^= std::byte{1} << bit % 8;
      try_it(header, header.size());
      header[bit / 8] ^= std::byte{1} << bit % 8;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(read, 1000);  // a digest of another value is still a digest
}

TEST(Wire, AnotherProtocolIsReportedBeforeAnythingElse) {
  const std::string other = std::to_string(kProtocolVersion + 1);
  const auto why = [](const std::function<void(wire::Message::Builder)>& make) {
    return refusal([&](wire::Message::Builder m) {
      m.setKind(999);
      m.setRows(-1);
      make(m);
      m.setProtocol(kProtocolVersion + 1);
    });
  };
  EXPECT_THAT(why([](auto) {}), HasSubstr("the peer speaks " + other + "; install the same"));
  EXPECT_THAT(why([](auto m) {
                auto hello = hello_in(m);
                hello.setName("stage 1");
                hello.setSoftware("potluck 3.0");
              }),
              HasSubstr("stage 1 (potluck 3.0) speaks " + other));
  EXPECT_THAT(why([](auto m) { fault_in(m).setWhere("head (potluck 3.0)"); }),
              HasSubstr("head (potluck 3.0) speaks " + other));
}

}  // namespace
}  // namespace potluck
