// Whatever a coordinator or a neighbour says to a worker, that worker serves the next ring.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/hostile/honest_ring.h"
#include "tests/hostile/hostile_peer.h"

namespace potluck {
namespace {

constexpr RingId kRing{0xE71, 1};
constexpr char kNobody[] = "tcp://127.0.0.1:1";
constexpr size_t kRowBytes = kAttackedHidden * sizeof(float);

// The attacker has the worker's coordinator's link, and the link of the worker before.
struct Attack {
  HostilePeer& coordinator;
  HostilePeer* previous;
  Plan plan;
  PeerId you;
  Digest model;

  void load(const Plan& other, PeerId as) const {
    RingId ring = kRing;
    ring.epoch = other.epoch;
    coordinator.say(load_of(other, as, ring, model));
  }
  void open() const { previous->say(word(MessageKind::open, kRing)); }
  // A canvas fits, but for `damage`.
  void canvas(const std::function<void(Message&)>& damage) const {
    Message m = rows_of(MessageKind::denoise, kRing, kAttackedCanvas, kAttackedCanvas * kRowBytes);
    damage(m);
    previous->say(m);
  }
  // An encode for a head holds one id.
  void id(int32_t id) const {
    Message m = rows_of(MessageKind::encode, kRing, 1, sizeof(id));
    m.payload = copy_payload(&id, sizeof(id));
    coordinator.say(m);
  }
};

struct AgainstAWorker {
  const char* name;
  std::function<void(const Attack&)> strike;
  const char* coordinator_hears;  // in a fault or a goodbye; empty: perhaps nothing
  const char* previous_hears = "";
};

void PrintTo(const AgainstAWorker& attack, std::ostream* out) {
  *out << attack.name;
}

class WorkerUnderAttack : public testing::TestWithParam<AgainstAWorker> {
 protected:
  // The attacked is a part of a plan whose other workers there are not.
  Plan lonely_plan(PeerId you) const {
    Plan plan = workers_.plan();
    plan.head.endpoint = plan.stages[1].endpoint = kNobody;
    plan.stages[1].endpoint += "0";
    plan.stages[0].endpoint = kNobody + std::string("1");
    WorkerPlan& attacked = you == kHeadPeer ? plan.head : plan.stages[0];
    attacked.endpoint = workers_.endpoint(1);
    return plan;
  }

  void loaded_as(PeerId you) {
    Attack attack{coordinator_, nullptr, lonely_plan(you), you, spec_digest(*source_)};
    coordinator_.hello(kCoordinatorPeer, {kRing.incarnation, 0});
    ASSERT_TRUE(coordinator_.hear(MessageKind::hello));
    attack.load(attack.plan, you);
    ASSERT_TRUE(coordinator_.hear(MessageKind::ready));
    HostilePeer previous(workers_.endpoint(1));
    previous.hello(you == kHeadPeer ? stage_peer(1) : kHeadPeer, kRing);
    ASSERT_TRUE(previous.hear(MessageKind::hello));
    attack.previous = &previous;
    GetParam().strike(attack);
    if (*GetParam().previous_hears) {
      EXPECT_THAT(previous.complaint(), testing::HasSubstr(GetParam().previous_hears));
    }
    if (*GetParam().coordinator_hears) {
      EXPECT_THAT(coordinator_.complaint(), testing::HasSubstr(GetParam().coordinator_hears));
    }
  }

  // The attacker's links may hold the place for a moment.
  std::vector<int32_t> ask() const {
    for (int tries = 0; tries < 100; ++tries) {
      HonestCoordinator coordinator(source_, workers_.plan());
      const std::vector<int32_t> ids = coordinator.ask();
      if (!ids.empty() || !coordinator.fault()) return ids;
      if (std::string(coordinator.fault()->what()).find("another coordinator") == std::string::npos)
        ADD_FAILURE() << coordinator.fault()->what();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return {};
  }

  const std::shared_ptr<const ModelSource> source_ = open_model(kAttackedModel);
  HonestWorkers workers_{source_, 3};
  const std::vector<int32_t> expected_ = ask();
  HostilePeer coordinator_{workers_.endpoint(1)};
};

class StageUnderAttack : public WorkerUnderAttack {};
class HeadUnderAttack : public WorkerUnderAttack {};

TEST_P(StageUnderAttack, ServesTheNextRing) {
  ASSERT_FALSE(expected_.empty());
  loaded_as(stage_peer(0));
  coordinator_.raw().hang_up();
  EXPECT_EQ(ask(), expected_);
}

TEST_P(HeadUnderAttack, ServesTheNextRing) {
  ASSERT_FALSE(expected_.empty());
  loaded_as(kHeadPeer);
  coordinator_.raw().hang_up();
  EXPECT_EQ(ask(), expected_);
}

std::function<void(const Attack&)> canvas_with(std::function<void(Message&)> damage) {
  return [damage = std::move(damage)](const Attack& a) {
    a.open();
    a.canvas(damage);
  };
}

// A second load, of another plan.
std::function<void(const Attack&)> load_with(std::function<void(Plan&)> damage, int you = -1) {
  return [damage = std::move(damage), you](const Attack& a) {
    Plan plan = a.plan;
    plan.epoch = 2;
    damage(plan);
    a.load(plan, you < 0 ? a.you : static_cast<PeerId>(you));
  };
}

std::function<void(const Attack&)> coordinator_says(MessageKind kind) {
  return [kind](const Attack& a) { a.coordinator.say(word(kind, kRing)); };
}

std::function<void(const Attack&)> previous_says(MessageKind kind) {
  return [kind](const Attack& a) { a.previous->say(word(kind, kRing)); };
}

void nothing(Plan&) {}

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
    {"a_load_of_another_model",
     [](const Attack& a) {
       a.coordinator.say(load_of(a.plan, a.you, {kRing.incarnation, 2}, a.model + 1));
     },
     "my model"},
    {"a_load_as_peer_200", load_with(nothing, 200), "no worker 200"},
    {"a_load_as_the_coordinator", load_with(nothing, 0), "no worker 0"},
    {"a_load_as_nobody", load_with(nothing, kUnassignedPeer), "no worker 65535"},
    {"a_load_without_stages", load_with([](Plan& p) { p.stages.clear(); }), "number of stages"},
    {"a_load_with_a_gap", load_with([](Plan& p) { p.stages[1].layers.begin = 3; }), "nobody runs"},
    {"a_load_of_layers_from_minus_one", load_with([](Plan& p) { p.stages[0].layers.begin = -1; }),
     "layerBegin is -1"},
    {"a_load_without_a_context", load_with([](Plan& p) { p.ctx_size = 0; }), "context"},
    {"a_load_of_a_chunk_past_the_context", load_with([](Plan& p) { p.chunk = 262144; }), "chunk"},
    {"a_load_without_a_chunk", load_with([](Plan& p) { p.chunk = 0; }), "chunk"},
    {"a_load_of_too_many_threads", load_with([](Plan& p) { p.stages[0].threads = 1 << 30; }),
     "threads is"},
    {"a_load_of_another_stream", load_with([](Plan& p) { p.stream = DType::q4_k; }), "stream is"},
    {"a_load_of_another_cache", load_with([](Plan& p) { p.kv = DType::q8_0; }), "kv is"},
    {"a_load_of_another_device", load_with([](Plan& p) { p.stages[0].device = "cuda:0"; }),
     "device cuda:0"},
    {"a_load_of_a_thousand_sessions_without_room", load_with([](Plan& p) {
       p.sessions = 1024;
       p.stages[0].memory_bytes = 1 << 20;
     }),
     "KV"},
    {"a_load_without_a_plan",
     [](const Attack& a) {
       a.coordinator.say(word(MessageKind::load, {kRing.incarnation, 2}));
     },
     "load has body"},
    {"a_load_that_fails_then_a_canvas_for_the_first",
     [](const Attack& a) {
       load_with([](Plan& p) { p.stages[0].memory_bytes = 1000; })(a);
       a.open();
       a.canvas([](Message& m) { m.header.dtype = DType::q4_k; });
     },
     "KV"},
    {"a_second_load_then_a_canvas_for_the_first",
     [](const Attack& a) {
       a.open();
       load_with(nothing)(a);
       a.canvas([](Message&) {});
     },
     ""},
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
};

std::string name_of(const testing::TestParamInfo<AgainstAWorker>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Attacks, StageUnderAttack, testing::ValuesIn(kAgainstStages), name_of);
INSTANTIATE_TEST_SUITE_P(Attacks, HeadUnderAttack, testing::ValuesIn(kAgainstHeads), name_of);

}  // namespace
}  // namespace potluck
