// Whatever a second Load says, the worker serves the next ring.
#include "tests/hostile/worker_under_attack.h"

namespace potluck {
namespace {

class LoadedAgain : public WorkerUnderAttack {};

TEST_P(LoadedAgain, ServesTheNextRing) {
  attack(stage_peer(0));
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

void nothing(Plan&) {}

const AgainstAWorker kLoads[] = {
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
    {"a_load_of_the_same_epoch",
     [](const Attack& a) {
       a.load(a.plan, kHeadPeer);
       a.canvas([](Message&) {});
     },
     "not open"},
    {"a_load_that_names_its_worker_for_a_terminal",
     [](const Attack& a) {
       Plan plan = a.plan;
       plan.stages[0].name = "sta~~~ge";
       plan.ctx_size = 0;
       plan.epoch = 2;
       a.coordinator.say_with("\xE2\x80\xAE",
                              load_of(plan, a.you, {kRing.incarnation, 2}, a.model));
     },
     "control character"},
    {"a_load_of_many_stages_at_one_place",
     load_with([](Plan& p) { p.stages.resize(kMaxStages, p.stages[0]); }), "appears twice"},
    {"a_load_that_gives_the_head_layers", load_with([](Plan& p) {
       p.head.layers = {0, kLayersMax};
     }),
     "the head has layers 0:1024"},
    {"a_load_that_gives_the_head_fewer_layers_than_none", load_with([](Plan& p) {
       p.head.layers = {kLayersMax, 0};
     }),
     "the head has layers"},
    {"a_load_without_slots", load_with([](Plan& p) { p.slots = 0; }), "slots"},
    {"a_load_of_minus_one_session", load_with([](Plan& p) { p.sessions = -1; }), "sessions is -1"},
    {"a_load_of_all_memory", load_with([](Plan& p) {
       p.sessions = kPositionsMax;
       p.ctx_size = 4096;
     }),
     "sessions is 1048576"},
    {"a_load_of_layers_that_there_are_not", load_with([](Plan& p) { p.stages[1].layers.end = 9; }),
     "layers"},
    {"a_load_of_another_hop", load_with([](Plan& p) { p.stages[0].hop_type = DType::iq2_s; }),
     "hop"},
    {"a_load_of_nccl_without_cards", load_with([](Plan& p) { p.stages[0].by_nccl = true; }),
     "nccl"},
    {"a_load_of_contents_that_are_not_ours",
     [](const Attack& a) {
       Message m = load_of(a.plan, a.you, {kRing.incarnation, 2}, a.model);
       m.load->plan.epoch = 2;
       m.load->model.layers.assign(4, 5);
       a.coordinator.say(m);
     },
     "differs from the coordinator's copy"},
    {"a_load_to_dial_itself_then_a_join",
     [](const Attack& a) {
       load_with([&](Plan& p) { p.stages[1].endpoint = p.stages[0].endpoint; })(a);
       a.coordinator.say(word(MessageKind::join, {kRing.incarnation, 2}));
     },
     ""},
    {"a_load_to_dial_no_port_then_a_join",
     [](const Attack& a) {
       load_with([](Plan& p) { p.stages[1].endpoint = "tcp://127.0.0.1:0x7"; })(a);
       a.coordinator.say(word(MessageKind::join, {kRing.incarnation, 2}));
       a.coordinator.hear(MessageKind::ready);
     },
     "was not reached at tcp://127.0.0.1:0x7"},
};

std::string name_of(const testing::TestParamInfo<AgainstAWorker>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Attacks, LoadedAgain, testing::ValuesIn(kLoads), name_of);

}  // namespace
}  // namespace potluck
