// Whatever workers answer a coordinator, its request or its ring ends with one fault, and the
// coordinator goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "tests/hostile/honest_ring.h"
#include "tests/hostile/hostile_peer.h"
#include "topology/base/utf8.h"
#include "transport/candidates.h"

namespace potluck {
namespace {

// A head and a stage, which are one party.
struct Ring {
  HostilePeer& head;
  HostilePeer& stage;
  Header open, encode, denoise;  // what the coordinator sent, as far as it went
};

enum class Moment { hellos, loads, joins, opens, encodes, denoises };

struct AgainstACoordinator {
  const char* name;
  Moment moment;  // in place of the answer to this
  std::function<void(Ring&)> strike;
  const char* fault;  // what the coordinator's says
};

void PrintTo(const AgainstACoordinator& attack, std::ostream* out) {
  *out << attack.name;
}

Message candidates_to(const Header& step) {
  Message m;
  m.header = step;
  m.header.digest = 0;
  m.header.kind = MessageKind::candidates;
  Candidates c;
  c.argmax = c.sample = std::vector<int32_t>(kAttackedCanvas, 5);
  c.entropy = std::vector<float>(kAttackedCanvas, 0.5f);
  m.payload = encode_candidates(c);
  return m;
}

class CoordinatorUnderAttack : public testing::TestWithParam<AgainstACoordinator> {
 protected:
  Plan plan() const {
    Plan plan = plan_local(source_->spec(), {source_->spec().layer_count()});
    plan.ctx_size = 64;
    plan.head.endpoint = head_.endpoint();
    plan.stages[0].endpoint = stage_.endpoint();
    return plan;
  }

  // True: this was the moment.
  bool strikes(Moment moment, Ring& ring) const {
    if (GetParam().moment != moment) return false;
    GetParam().strike(ring);
    return true;
  }

  static void answer(HostilePeer& peer, MessageKind kind, const Header& to) {
    Message m = word(kind, ring_of(to), to.session);
    m.header.request = to.request;
    m.header.rows = to.rows;
    m.header.kv_length_before = to.kv_length_before;
    if (kind == MessageKind::ready) m.ready.emplace();
    peer.say(m);
  }

  // Plays both workers up to the attack. A worker that is there says hello for both.
  void play(Ring& ring) const {
    if (strikes(Moment::hellos, ring)) return;
    for (HostilePeer* each : {&ring.head, &ring.stage}) {
      const Header hello = each->hear(MessageKind::hello)->header;
      each->hello(hello.destination, {});
    }
    const Header load = ring.head.hear(MessageKind::load)->header;
    ring.encode = ring.denoise = ring.open = load;
    if (strikes(Moment::loads, ring)) return;
    for (HostilePeer* each : {&ring.head, &ring.stage}) answer(*each, MessageKind::ready, load);
    ring.head.hear(MessageKind::join);
    if (strikes(Moment::joins, ring)) return;
    for (HostilePeer* each : {&ring.head, &ring.stage}) answer(*each, MessageKind::joined, load);
    ring.open = ring.head.hear(MessageKind::open)->header;
    if (strikes(Moment::opens, ring)) return;
    ring.encode = ring.head.hear(MessageKind::encode)->header;
    if (strikes(Moment::encodes, ring)) return;
    answer(ring.stage, MessageKind::encode_done, ring.encode);
    ring.denoise = ring.head.hear(MessageKind::denoise)->header;
    strikes(Moment::denoises, ring);
  }

  const std::shared_ptr<const ModelSource> source_ = open_model(kAttackedModel);
  TcpListener head_, stage_;
};

TEST_P(CoordinatorUnderAttack, SaysWhatIsWrongInOneFault) {
  HonestCoordinator coordinator(source_, plan());
  std::thread workers([this] {
    HostilePeer head(head_.accept()), stage(stage_.accept());
    Ring ring{head, stage, {}, {}, {}};
    play(ring);
    head.hear(MessageKind::shutdown);  // the coordinator's last word, or its goodbye
  });
  EXPECT_TRUE(coordinator.ask().empty());
  ASSERT_TRUE(coordinator.fault());
  const std::string said = coordinator.fault()->what();
  EXPECT_THAT(said, testing::HasSubstr(GetParam().fault));
  EXPECT_EQ(harmless(said), said) << "it would drive a terminal";
  coordinator.end();
  workers.join();
}

std::function<void(Ring&)> candidates_with(std::function<void(Message&)> damage) {
  return [damage = std::move(damage)](Ring& r) {
    Message m = candidates_to(r.denoise);
    damage(m);
    r.head.say(m);
  };
}

std::function<void(Ring&)> ids_of(int32_t argmax, int32_t sample, float entropy) {
  return candidates_with([=](Message& m) {
    Candidates c;
    c.argmax = std::vector<int32_t>(kAttackedCanvas, argmax);
    c.sample = std::vector<int32_t>(kAttackedCanvas, sample);
    c.entropy = std::vector<float>(kAttackedCanvas, entropy);
    m.payload = encode_candidates(c);
  });
}

std::function<void(Ring&)> encode_done_with(std::function<void(Header&)> damage) {
  return [damage = std::move(damage)](Ring& r) {
    Message m;
    m.header = r.encode;
    m.header.digest = 0;
    m.header.kind = MessageKind::encode_done;
    damage(m.header);
    r.stage.say(m);
  };
}

// The head's fault of a session, or of its ring (0).
std::function<void(Ring&)> fault_with(uint64_t session, const char* text) {
  return [session, text](Ring& r) {
    Message m = word(MessageKind::fault, ring_of(r.open), session);
    m.fault = FaultReport{FaultKind::world, text, "evil", {}};
    r.head.say(m);
  };
}

// Words that are no answer are passed over: only the fault that comes behind ends the ring.
std::function<void(Ring&)> head_says(std::function<void(Ring&)> words) {
  return [words = std::move(words)](Ring& r) {
    words(r);
    fault_with(0, "enough")(r);
  };
}

std::function<void(Ring&)> head_says(std::vector<MessageKind> kinds) {
  return head_says([kinds = std::move(kinds)](Ring& r) {
    for (const MessageKind kind : kinds) r.head.say(word(kind, ring_of(r.open), r.open.session));
  });
}

Message ready_of(RingId ring) {
  Message m = word(MessageKind::ready, ring);
  m.ready.emplace();
  return m;
}

// In all the ways that a terminal can be driven.
std::function<void(Ring&)> driving(Message (*message)(RingId ring)) {
  return [message](Ring& r) {
    for (const char* bytes : kTerminalDrivers) r.head.say_with(bytes, message(ring_of(r.open)));
  };
}

Message device_of_a_terminal(RingId ring) {
  Message m = ready_of(ring);
  m.ready->device = m.ready->endpoint = "~~~cpu";
  return m;
}

// The fault is of a session that is not there.
Message fault_of_a_terminal(RingId ring) {
  Message m = word(MessageKind::fault, ring, 77);
  m.fault = FaultReport{FaultKind::world, "a~~~b", "~~~", {"~~~"}};
  return m;
}

// Ends the ring.
std::function<void(Ring&)> last_words(MessageKind kind, const char* bytes) {
  return [kind, bytes](Ring& r) {
    Message m = word(kind, ring_of(r.open), 0);
    m.fault = FaultReport{FaultKind::world, "it~~~burns", "evil", {}};
    r.head.say_with(bytes, m);
  };
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const AgainstACoordinator kAttacks[] = {
    {"an_argmax_past_the_vocabulary", Moment::denoises, ids_of(kAttackedVocab, 1, 0),
     "outside the vocabulary"},
    {"a_sample_below_zero", Moment::denoises, ids_of(1, -1, 0), "outside the vocabulary"},
    {"an_id_of_two_billion", Moment::denoises, ids_of(std::numeric_limits<int32_t>::max(), 1, 0),
     "outside the vocabulary"},
    {"an_entropy_that_is_none", Moment::denoises, ids_of(1, 1, kNan), "the entropy of position"},
    {"no_candidates", Moment::denoises, candidates_with([](Message& m) { m.payload = {}; }),
     "0 bytes"},
    {"a_candidate_too_few", Moment::denoises,
     candidates_with([](Message& m) { m.payload.bytes -= 4; }), "bytes"},
    {"candidates_of_a_stage", Moment::denoises,
     [](Ring& r) { r.stage.say(candidates_to(r.denoise)); }, "which head sends"},
    {"candidates_by_260_hops", Moment::denoises,
     candidates_with([](Message& m) { m.header.hops.resize(260, Hop{kHeadPeer}); }), "260 workers"},
    {"candidates_by_another_plan", Moment::denoises,
     candidates_with([](Message& m) { m.header.hops = {{77}}; }), "peer 77"},
    {"candidates_with_a_wrong_digest", Moment::denoises,
     candidates_with([](Message& m) { m.header.digest = 0xBAD; }), "digest"},
    {"an_encode_of_no_rows", Moment::encodes, encode_done_with([](Header& h) { h.rows = 0; }),
     "an encode of 0 tokens"},
    {"an_encode_of_too_many_rows", Moment::encodes,
     encode_done_with([](Header& h) { h.rows = 1 << 20; }), "an encode of 1048576"},
    {"an_encode_from_elsewhere", Moment::encodes,
     encode_done_with([](Header& h) { h.kv_length_before = 7; }), "from 7"},
    {"an_encode_done_by_the_head", Moment::encodes,
     [](Ring& r) {
       Message m;
       m.header = r.encode;
       m.header.digest = 0;
       m.header.kind = MessageKind::encode_done;
       r.head.say(m);
     },
     "which stage 0 sends"},
    {"a_fault_of_the_request", Moment::encodes, [](Ring& r) { fault_with(r.open.session, "x")(r); },
     "evil: x"},
    {"a_fault_of_the_ring", Moment::opens, fault_with(0, "it burns"), "it burns"},
    {"a_fault_of_a_page", Moment::opens,
     [](Ring& r) { fault_with(0, std::string(100000, 'x').c_str())(r); }, "xxx"},
    {"a_second_hello", Moment::opens, [](Ring& r) { r.head.hello(kHeadPeer, {}); }, "out of turn"},
    {"a_hello_of_another_peer", Moment::opens, [](Ring& r) { r.head.hello(200, {}); },
     "out of turn"},
    {"a_load_for_the_coordinator", Moment::opens,
     [](Ring& r) {
       r.head.say(load_of({}, kCoordinatorPeer, ring_of(r.open), 0));
       fault_with(0, "enough")(r);
     },
     "enough"},
    {"words_of_cards", Moment::opens,
     [](Ring& r) {
       Message m = word(MessageKind::card_link, ring_of(r.open));
       m.card_link.emplace();
       r.head.say(m);
       fault_with(0, "enough")(r);
     },
     "enough"},
    {"a_ready_without_sizes", Moment::loads,
     [](Ring& r) { r.head.say(word(MessageKind::ready, ring_of(r.open))); }, "ready has body"},
    {"a_ready_of_exabytes", Moment::loads,
     [](Ring& r) {
       Message m = word(MessageKind::ready, ring_of(r.open));
       m.ready.emplace();
       m.ready->weight_bytes = m.ready->kv_bytes = ~uint64_t{0};
       r.head.say(m);
       fault_with(0, "enough")(r);
     },
     "enough"},
    {"a_heartbeat_of_what_was_not_sent", Moment::joins,
     [](Ring& r) {
       Message m = word(MessageKind::heartbeat, {});
       m.heartbeat = Heartbeat{1000};
       r.head.say(m);
     },
     "1000 messages taken"},
    {"three_frames", Moment::joins,
     [](Ring& r) {
       r.stage.raw().send(std::vector<std::string>{"a", "b", "c"});
     },
     "3 frames"},
    {"a_hang_up_instead_of_joined", Moment::joins, [](Ring& r) { r.stage.raw().hang_up(); },
     "lost worker stage 0"},
    {"2000_answers_at_once", Moment::denoises,
     [](Ring& r) {
       Message m = candidates_to(r.denoise);
       m.header.key.step = 9;  // stale
       for (int i = 0; i < 2000; ++i) r.head.say(m);
       fault_with(0, "enough")(r);
     },
     ""},
    {"no_hello_but_a_ready", Moment::hellos, [](Ring& r) { r.head.say(ready_of({})); },
     "out of turn"},
    {"a_hello_of_another_protocol", Moment::hellos,
     [](Ring& r) {
       Message m = word(MessageKind::hello, {});
       m.header.protocol = kOtherProtocol;
       m.hello = Hello{"evil 9", "evil"};
       r.head.say(m);
     },
     "speaks protocol"},
    {"a_goodbye_for_a_hello", Moment::hellos, last_words(MessageKind::goodbye, "\x1B[J"),
     "control character"},
    {"a_header_without_words", Moment::hellos,
     [](Ring& r) { r.head.raw().send(std::vector<std::string>{std::string(64, '\0')}); }, ""},
    {"a_ready_of_another_ring", Moment::loads, head_says([](Ring& r) {
       r.stage.say(ready_of({ring_of(r.open).incarnation, 9}));
     }),
     "enough"},
    {"two_readies_of_one_worker", Moment::loads, head_says([](Ring& r) {
       r.head.say(ready_of(ring_of(r.open)));
       r.head.say(ready_of(ring_of(r.open)));
     }),
     "enough"},
    {"joined_before_it_is_loaded", Moment::loads, head_says({MessageKind::joined}), "enough"},
    {"candidates_before_it_is_loaded", Moment::loads, head_says({MessageKind::candidates}),
     "enough"},
    {"a_device_that_drives_a_terminal", Moment::loads, driving(device_of_a_terminal),
     "control character"},
    {"a_fault_of_no_session_that_drives_a_terminal", Moment::opens, driving(fault_of_a_terminal),
     "control character"},
    {"a_fault_that_clears_the_screen", Moment::opens, last_words(MessageKind::fault, "\x1B[J"),
     "control character"},
    {"a_fault_with_a_c1_control", Moment::opens, last_words(MessageKind::fault, "\xC2\x9BJ"),
     "control character"},
    {"a_goodbye_that_turns_the_line_around", Moment::opens,
     last_words(MessageKind::goodbye, "\xE2\x80\xAE"), "control character"},
    {"a_goodbye_of_two_lines", Moment::opens, last_words(MessageKind::goodbye, "\xE2\x80\xA8"),
     "control character"},
    {"a_fault_that_is_no_text", Moment::opens, last_words(MessageKind::fault, "\xFF\xFE\xC2"), ""},
    {"a_fault_of_no_kind", Moment::opens,
     [](Ring& r) {
       Message m = word(MessageKind::fault, ring_of(r.open), 0);
       m.fault = FaultReport{static_cast<FaultKind>(99), "x", "", {}};
       r.head.say(m);
     },
     "fault.kind is 99"},
    {"orders_for_the_coordinator", Moment::opens,
     head_says({MessageKind::shutdown, MessageKind::open, MessageKind::close, MessageKind::truncate,
                MessageKind::cancel, MessageKind::join, MessageKind::joined, MessageKind::encode,
                MessageKind::denoise}),
     "enough"},
    {"candidates_instead_of_an_encode", Moment::encodes,
     head_says([](Ring& r) { r.head.say(candidates_to(r.encode)); }), "enough"},
    {"an_encode_done_twice", Moment::encodes,
     [](Ring& r) {
       Message m;
       m.header = r.encode;
       m.header.digest = 0;
       m.header.kind = MessageKind::encode_done;
       r.stage.say(m);
       r.stage.say(m);
     },
     "was answered when step 0"},
    {"an_encode_past_all_numbers", Moment::encodes, encode_done_with([](Header& h) {
       h.rows = h.kv_length_before = std::numeric_limits<int32_t>::max();
     }),
     "kvLengthBefore is"},
    {"an_endless_entropy", Moment::denoises, ids_of(1, 1, std::numeric_limits<float>::infinity()),
     "is inf"},
    {"candidates_of_a_megabyte", Moment::denoises,
     candidates_with([](Message& m) { m.payload = own_payload(std::vector<std::byte>(1 << 20)); }),
     "1048576 bytes"},
    {"candidates_that_passed_a_worker_too_often", Moment::denoises,
     candidates_with([](Message& m) { m.header.hops.resize(4, Hop{kHeadPeer}); }), "4 workers"},
    {"candidates_of_another_session", Moment::denoises, head_says([](Ring& r) {
       Message m = candidates_to(r.denoise);
       ++m.header.session;
       r.head.say(m);
     }),
     "enough"},
};

std::string name_of(const testing::TestParamInfo<AgainstACoordinator>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Attacks, CoordinatorUnderAttack, testing::ValuesIn(kAttacks), name_of);

}  // namespace
}  // namespace potluck
