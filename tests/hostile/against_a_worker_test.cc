// Whatever a neighbour or a coordinator says to a worker that is loaded, that worker serves the
// next ring.
#include <limits>

#include "tests/hostile/worker_under_attack.h"

namespace potluck {
namespace {

class StageUnderAttack : public WorkerUnderAttack {};
class HeadUnderAttack : public WorkerUnderAttack {};

TEST_P(StageUnderAttack, ServesTheNextRing) {
  attack(stage_peer(0));
}

TEST_P(HeadUnderAttack, ServesTheNextRing) {
  attack(kHeadPeer);
}

std::function<void(const Attack&)> canvas_with(std::function<void(Message&)> damage) {
  return [damage = std::move(damage)](const Attack& a) {
    a.open();
    a.canvas(damage);
  };
}

std::function<void(const Attack&)> coordinator_says(MessageKind kind) {
  return [kind](const Attack& a) { a.coordinator.say(word(kind, kRing)); };
}

std::function<void(const Attack&)> previous_says(MessageKind kind) {
  return [kind](const Attack& a) { a.previous->say(word(kind, kRing)); };
}

// An open, an encode of so many rows at a position, as the one before sends them.
void encode(const Attack& a, int rows, int at) {
  Message m = rows_of(MessageKind::encode, kRing, rows, static_cast<size_t>(rows) * kRowBytes);
  m.header.first_position = m.header.kv_length_before = at;
  a.previous->say(m);
}

void truncate(const Attack& a, int length, uint64_t session = 1) {
  Message m = word(MessageKind::truncate, kRing, session);
  m.header.kv_length_before = length;
  a.previous->say(m);
}

// Each value of the canvas has these bits.
void canvas_of(const Attack& a, uint32_t bits) {
  a.open();
  a.canvas([bits](Message& m) {
    const std::vector<uint32_t> values(m.payload.bytes / sizeof(bits), bits);
    m.payload = copy_payload(values.data(), m.payload.bytes);
  });
}

// Something that is passed over, and then what is not.
std::function<void(const Attack&)> passed_over(std::function<void(const Attack&)> words) {
  return [words = std::move(words)](const Attack& a) {
    words(a);
    a.canvas([](Message&) {});
  };
}

const AgainstAWorker kAgainstStages[] = {
    {"truncate_of_no_session", coordinator_says(MessageKind::truncate), ""},
    {"cancel_of_no_session", coordinator_says(MessageKind::cancel), ""},
    {"close_of_no_session", previous_says(MessageKind::close), ""},
    {"a_canvas_of_no_session", [](const Attack& a) { a.canvas([](Message&) {}); }, "not open"},
    {"dtype_q4_k", canvas_with([](Message& m) { m.header.dtype = DType::q4_k; }), "q4_k"},
    {"dtype_f16", canvas_with([](Message& m) { m.header.dtype = DType::f16; }), "f16"},
    {"no_rows", canvas_with([](Message& m) { m.header.rows = 0; }), "rows"},
    {"minus_one_row", canvas_with([](Message& m) { m.header.rows = -1; }), "", "rows is -1"},
    {"a_million_rows", canvas_with([](Message& m) { m.header.rows = 1 << 20; }), "rows"},
    {"a_row_too_few", canvas_with([](Message& m) { m.header.rows = kAttackedCanvas - 1; }), "rows"},
    {"no_payload", canvas_with([](Message& m) { m.payload = {}; }), "payload of 0 bytes"},
    {"a_short_payload", canvas_with([](Message& m) { m.payload.bytes -= 4; }), "bytes"},
    {"past_the_context",
     canvas_with([](Message& m) { m.header.first_position = m.header.kv_length_before = 64; }),
     "does not fit a context"},
    {"past_what_is_cached",
     canvas_with([](Message& m) { m.header.first_position = m.header.kv_length_before = 8; }),
     "cached tokens"},
    {"at_two_positions", canvas_with([](Message& m) { m.header.first_position = 1; }), "position"},
    {"a_cold_temperature", canvas_with([](Message& m) { m.header.temperature = 0; }),
     "temperature"},
    {"no_temperature", canvas_with([](Message& m) {
       m.header.temperature = std::numeric_limits<double>::quiet_NaN();
     }),
     "", "temperature is"},
    {"260_hops", canvas_with([](Message& m) { m.header.hops.resize(260, Hop{kHeadPeer}); }),
     "it has passed 260 workers"},
    {"a_hop_of_another_plan", canvas_with([](Message& m) { m.header.hops = {{77}}; }), "peer 77"},
    {"a_hop_of_no_plan", canvas_with([](Message& m) { m.header.hops = {{1000}}; }), "",
     "peer 1000"},
    {"a_hop_of_exabytes", canvas_with([](Message& m) {
       m.header.hops = {{kHeadPeer, 0, 0, ~uint64_t{0}, 0}};
     }),
     "", "payloadBytes"},
    {"a_wrong_digest", canvas_with([](Message& m) { m.header.digest = 0xBAD; }), "", "digest"},
    {"words_of_cards", canvas_with([](Message& m) {
       m.payload = {};
       m.card_link.emplace().step = CardLink::Step::payload;
     }),
     "payload of 0 bytes"},
    {"five_opens",
     [](const Attack& a) {
       for (int i = 0; i < 5; ++i) a.open();
     },
     "open already"},
    {"more_sessions_than_planned",
     [](const Attack& a) {
       for (uint64_t i = 1; i < 4; ++i) a.previous->say(word(MessageKind::open, kRing, i));
     },
     "sessions of the plan are open"},
    {"a_fork",
     [](const Attack& a) {
       Message fork = word(MessageKind::open, kRing);
       fork.header.fork_of = 7;
       a.previous->say(fork);
     },
     "forked"},
    {"a_load_from_a_neighbour",
     [](const Attack& a) {
       a.previous->say(load_of(a.plan, kHeadPeer, {kRing.incarnation, 9}, a.model));
       a.open();
       a.open();
     },
     "open already"},
    {"a_shutdown_from_a_neighbour",
     [](const Attack& a) {
       a.previous->say(word(MessageKind::shutdown, kRing));
       a.open();
       a.open();
     },
     "open already"},
    {"a_canvas_from_the_coordinator", coordinator_says(MessageKind::denoise), "", "closed by peer"},
    {"an_open_from_the_coordinator", coordinator_says(MessageKind::open), "", "closed by peer"},
    {"candidates_from_a_neighbour", previous_says(MessageKind::candidates), ""},
    {"an_encode_done", previous_says(MessageKind::encode_done), ""},
    {"a_joined", previous_says(MessageKind::joined), ""},
    {"a_second_hello", [](const Attack& a) { a.previous->hello(kHeadPeer, kRing); }, "",
     "out of turn"},
    {"a_goodbye", previous_says(MessageKind::goodbye), "lost head"},
    {"ten_thousand_opens",
     [](const Attack& a) {
       for (int i = 0; i < 10000; ++i) a.open();
     },
     ""},
    {"a_thousand_canvases",
     [](const Attack& a) {
       a.open();
       for (int i = 0; i < 1000; ++i) a.canvas([](Message&) {});
     },
     ""},
    {"2000_faults_that_nobody_takes",
     [](const Attack& a) {
       for (int i = 0; i < 2000; ++i) a.canvas([](Message&) {});
       a.previous->complaint();
     },
     ""},
    {"a_message_without_an_end",
     [](const Attack& a) {
       std::string frames;
       for (int i = 0; i < 1 << 20; ++i) frames += zmtp_frame("", true);
       a.previous->raw().write(frames);
     },
     "lost head"},
    {"a_join_to_nobody", coordinator_says(MessageKind::join), ""},
    {"two_joins",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::join, kRing));
       a.coordinator.say(word(MessageKind::join, kRing));
     },
     ""},
    {"a_shutdown_then_a_canvas",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::shutdown, kRing));
       a.canvas([](Message&) {});
     },
     ""},
    {"an_encode_then_a_truncate_past_it",
     [](const Attack& a) {
       a.open();
       encode(a, 4, 0);
       truncate(a, 5);
     },
     "cannot go back"},
    {"a_truncate_below_zero",
     [](const Attack& a) {
       a.open();
       truncate(a, -1);
     },
     "", "kvLengthBefore is -1"},
    {"a_truncate_of_another_session",
     [](const Attack& a) {
       a.open();
       truncate(a, 0, 2);
     },
     "session 2"},
    {"a_truncate_of_the_last_number", [](const Attack& a) { truncate(a, 0, ~uint64_t{0}); },
     "18446744073709551615"},
    {"a_canvas_of_what_was_cut_off",
     [](const Attack& a) {
       a.open();
       encode(a, 4, 0);
       truncate(a, 2);
       a.canvas([](Message& m) { m.header.first_position = m.header.kv_length_before = 4; });
     },
     "has 2"},
    {"an_encode_twice",
     [](const Attack& a) {
       a.open();
       encode(a, 4, 0);
       encode(a, 4, 0);
     },
     "has 4"},
    {"an_encode_of_more_than_a_chunk",
     [](const Attack& a) {
       a.open();
       encode(a, 5, 0);
     },
     "at most 4"},
    {"encodes_past_the_context",
     [](const Attack& a) {
       a.open();
       for (int at = 0; at <= 64; at += 4) encode(a, 4, at);
     },
     ""},
    {"a_canvas_after_a_close",
     [](const Attack& a) {
       a.open();
       a.previous->say(word(MessageKind::close, kRing));
       a.canvas([](Message&) {});
     },
     "not open"},
    {"two_closes", passed_over([](const Attack& a) {
       a.open();
       for (int i = 0; i < 2; ++i) a.previous->say(word(MessageKind::close, kRing));
     }),
     "not open"},
    {"activations_that_are_none", [](const Attack& a) { canvas_of(a, 0x7FC00000); }, ""},
    {"endless_activations", [](const Attack& a) { canvas_of(a, 0x7F800000); }, ""},
    {"the_largest_activations", [](const Attack& a) { canvas_of(a, 0x7F7FFFFF); }, ""},
    {"the_smallest_activations", [](const Attack& a) { canvas_of(a, 1); }, ""},
    {"a_join_of_another_ring", passed_over([](const Attack& a) {
       a.coordinator.say(word(MessageKind::join, {kRing.incarnation, 9}));
     }),
     "not open"},
    // Session 1 is asked for next: a cancel that comes later would drop that.
    {"a_cancel_of_many_sessions", passed_over([](const Attack& a) {
       for (uint64_t session = 2; session < 502; ++session)
         a.coordinator.say(word(MessageKind::cancel, kRing, session));
     }),
     "not open"},
    {"answers_from_the_coordinator", passed_over([](const Attack& a) {
       for (const MessageKind kind :
            {MessageKind::candidates, MessageKind::encode_done, MessageKind::joined})
         a.coordinator.say(word(kind, kRing));
     }),
     "not open"},
    {"a_fault_that_drives_a_terminal", passed_over([](const Attack& a) {
       Message m = word(MessageKind::fault, kRing);
       m.fault = FaultReport{FaultKind::world, "a~~~b", "~~~", {"~~~"}};
       for (const char* bytes : kTerminalDrivers) a.previous->say_with(bytes, m);
     }),
     "control character"},
    {"a_goodbye_that_drives_a_terminal",
     [](const Attack& a) {
       Message m = word(MessageKind::goodbye, kRing);
       m.fault = FaultReport{FaultKind::lost, "go~~~ne", "evil", {}};
       a.previous->say_with("\xE2\x80\xAE", m);
     },
     "control character"},
    {"a_heartbeat_of_all_messages",
     [](const Attack& a) {
       Message m = word(MessageKind::heartbeat, kRing);
       m.heartbeat = Heartbeat{~uint64_t{0}};
       a.previous->say(m);
     },
     "lost head", "messages taken of 0"},
    {"a_protocol_of_its_own",
     [](const Attack& a) {
       Message m = word(MessageKind::open, kRing);
       m.header.protocol = kOtherProtocol;
       a.previous->say(m);
     },
     "lost head", "install the same version on both"},
    {"a_kind_that_there_is_not",
     [](const Attack& a) { a.previous->say(word(static_cast<MessageKind>(99), kRing)); },
     "lost head", "kind 99 is unknown"},
    {"a_shutdown_of_another_coordinator", passed_over([](const Attack& a) {
       a.coordinator.say(word(MessageKind::shutdown, {kRing.incarnation + 1, 1}));
     }),
     "not open"},
    {"two_hellos_of_the_one_before",
     [](const Attack& a) {
       HostilePeer other(a.endpoint);
       other.hello(kHeadPeer, kRing);
       EXPECT_THAT(other.complaint(), testing::HasSubstr("there is a link with that peer"));
       a.canvas([](Message&) {});
     },
     "not open"},
};

const AgainstAWorker kAgainstHeads[] = {
    {"an_id_past_the_vocabulary",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::open, kRing));
       a.id(kAttackedVocab);
     },
     "outside the vocabulary"},
    {"an_id_below_zero",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::open, kRing));
       a.id(std::numeric_limits<int32_t>::min());
     },
     "outside the vocabulary"},
    {"a_canvas_that_was_not_sent",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::open, kRing));
       a.settle();
       a.canvas([](Message&) {});
     },
     "not the one on its way"},
    {"a_step_out_of_turn",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::open, kRing));
       Message m = rows_of(MessageKind::denoise, kRing, kAttackedCanvas, kAttackedCanvas * 4);
       m.header.key.step = 5;
       a.coordinator.say(m);
     },
     "does not follow"},
    {"an_open_from_a_stage", previous_says(MessageKind::open), "lost stage 1"},
    {"an_encode_from_a_stage", previous_says(MessageKind::encode), "lost stage 1"},
    {"ids_from_a_stage", previous_says(MessageKind::denoise), "not open"},
    {"a_step_of_a_canvas_that_is_not_over",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::open, kRing));
       Message m = rows_of(MessageKind::denoise, kRing, kAttackedCanvas, kAttackedCanvas * 4);
       a.coordinator.say(m);
       ++m.header.key.step;
       a.coordinator.say(m);
     },
     "does not follow"},
    {"the_last_of_all_steps",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::open, kRing));
       Message m = rows_of(MessageKind::denoise, kRing, kAttackedCanvas, kAttackedCanvas * 4);
       m.header.key.step = m.header.key.canvas = ~0u;
       a.coordinator.say(m);
     },
     "does not follow"},
    {"a_canvas_back_of_another_step",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::open, kRing));
       a.coordinator.say(
           rows_of(MessageKind::denoise, kRing, kAttackedCanvas, kAttackedCanvas * 4));
       a.settle();
       a.canvas([](Message& m) { ++m.header.key.seed; });
     },
     "not the one on its way"},
    {"a_canvas_back_of_a_closed_session",
     [](const Attack& a) {
       for (const MessageKind kind : {MessageKind::open, MessageKind::close})
         a.coordinator.say(word(kind, kRing));
       a.settle();
       a.canvas([](Message&) {});
     },
     "not open"},
    {"a_truncate_of_a_session_of_the_past",
     [](const Attack& a) {
       for (const MessageKind kind : {MessageKind::open, MessageKind::close, MessageKind::truncate})
         a.coordinator.say(word(kind, kRing));
     },
     "session 1 is not one of"},
    {"a_close_from_a_stage", previous_says(MessageKind::close), "lost stage 1"},
    {"a_truncate_from_a_stage", previous_says(MessageKind::truncate), "lost stage 1"},
    {"ids_of_a_card",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::open, kRing));
       Message m = rows_of(MessageKind::encode, kRing, 1, 0);
       m.card_link.emplace().step = CardLink::Step::payload;
       m.card_link->payload_bytes = 4;
       a.coordinator.say(m);
     },
     "payload of 0 bytes"},
};

std::string name_of(const testing::TestParamInfo<AgainstAWorker>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Attacks, StageUnderAttack, testing::ValuesIn(kAgainstStages), name_of);
INSTANTIATE_TEST_SUITE_P(Attacks, HeadUnderAttack, testing::ValuesIn(kAgainstHeads), name_of);

}  // namespace
}  // namespace potluck
