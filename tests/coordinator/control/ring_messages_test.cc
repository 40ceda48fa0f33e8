// A request, its progress and its result are read as they were written; damage is refused.
#include "coordinator/control/ring_messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

// As the other side gets it: through text.
Json sent(const Json& json) {
  return Json::parse(json.dump());
}

TEST(RingMessages, ARequestArrivesAsItWasMade) {
  Request request;
  request.prompt = {2, 0, 262143, -1};
  request.session = 0xFFFF'FFFF'FFFF'FFFFull;
  request.keep_session = true;
  request.max_tokens = 700;
  request.seed = 0x8000'0000'0000'0001ull;
  request.answer = 0xFFFF'FFFFu;
  request.generation.t_min = 0.1;
  request.generation.eos_ids = {7, 8, 9};
  request.generation.add_bos = false;
  request.draw = Draw::argmax;
  const Request read = request_of(sent(request_json(request)), ids_bytes(request.prompt));
  EXPECT_EQ(read.prompt, request.prompt);
  EXPECT_EQ(read.session, request.session);
  EXPECT_TRUE(read.keep_session);
  EXPECT_EQ(read.max_tokens, 700);
  EXPECT_EQ(read.seed, request.seed);
  EXPECT_EQ(read.answer, request.answer);
  EXPECT_EQ(read.generation.t_min, 0.1);
  EXPECT_EQ(read.generation.t_max, request.generation.t_max);
  EXPECT_EQ(read.generation.eos_ids, request.generation.eos_ids);
  EXPECT_FALSE(read.generation.add_bos);
  EXPECT_EQ(read.draw, Draw::argmax);
}

TEST(RingMessages, AResultArrivesAsItWas) {
  RequestResult result;
  result.ids = {1, 2, 3};
  result.steps = {12, 7};
  result.step_ms = {1.25, 1e-9};
  result.session = 5;
  result.last_hops = {{1, 2, 3, uint64_t{1} << 40, 5}};
  result.stopped_by_end_id = true;
  result.stalls = {{"lost worker nas", 1, 0.5, 2, 0.25, 0.125}, {"lost worker den"}};
  const Plan ring = plan_local(open_model("synthetic:nano?layers=2", {})->spec(), {2});
  Plan learnt;
  const RequestResult read =
      result_of(sent(result_json(result, ring)), ids_bytes(result.ids), learnt);
  EXPECT_EQ(read.ids, result.ids);
  EXPECT_EQ(read.steps, result.steps);
  EXPECT_EQ(read.step_ms, result.step_ms);
  EXPECT_EQ(read.session, 5u);
  ASSERT_EQ(read.last_hops.size(), 1u);
  EXPECT_EQ(read.last_hops[0].payload_bytes, uint64_t{1} << 40);
  EXPECT_TRUE(read.stopped_by_end_id);
  ASSERT_EQ(read.stalls.size(), 2u);
  EXPECT_EQ(stall_text(read.stalls[0]), stall_text(result.stalls[0]));
  EXPECT_EQ(read.stalls[1].why, "lost worker den");
  EXPECT_EQ(learnt.head.name, ring.head.name);
  ASSERT_EQ(learnt.stages.size(), 1u);
  EXPECT_EQ(learnt.stages[0].layers, (LayerRange{0, 2}));
}

TEST(RingMessages, AResultWhoseHopsLeadToNobodyIsRefused) {
  const Plan ring = plan_local(open_model("synthetic:nano?layers=2", {})->spec(), {2});
  RequestResult result;
  Plan learnt;
  for (const PeerId peer : {kCoordinatorPeer, kHeadPeer, stage_peer(0)}) {
    result.last_hops = {{peer, 0, 0, 1, 1}};
    EXPECT_EQ(result_of(sent(result_json(result, ring)), "", learnt).last_hops.size(), 1u);
  }
  result.last_hops = {{stage_peer(1), 0, 0, 1, 1}};
  EXPECT_THROW(result_of(sent(result_json(result, ring)), "", learnt), Fault);
}

TEST(RingMessages, ProgressIsToldAsTheRingToldIt) {
  std::vector<std::string> told;
  RequestEvents events;
  events.encoding = [&](const EncodeReport& report) {
    told.push_back(std::to_string(report.done) + "/" + std::to_string(report.total));
  };
  events.waiting = [&](const WaitReport& report) { told.push_back(report.what); };
  events.step = [&](const StepReport& report) {
    told.push_back(std::to_string(report.step) + " of " + std::to_string(report.max_steps) + ": " +
                   std::to_string(report.candidates->argmax.at(1)) +
                   (report.decision->accepted.at(1) ? " accepted" : ""));
  };
  events.canvas_done = [&](const CanvasReport& report) {
    told.push_back("canvas of " + std::to_string(report.ids.size()));
  };
  const Candidates candidates{{4, 9}, {}, {}};
  const StepDecision decision{{0, 1}, {}, 0.5};
  StepReport step;
  step.step = 3;
  step.max_steps = 8;
  step.candidates = &candidates;
  step.decision = &decision;
  const std::vector<int32_t> ids = {5, 6, 7};
  tell_event(sent(event_json(EncodeReport{1, 2, 10})), "", events);
  tell_event(sent(event_json(WaitReport{1, "step 0", 6})), "", events);
  tell_event(sent(event_json(step)), ids_bytes(candidates.argmax), events);
  tell_event(sent(event_json(CanvasReport{1, ids})), ids_bytes(ids), events);
  EXPECT_EQ(told,
            (std::vector<std::string>{"2/10", "step 0", "3 of 8: 9 accepted", "canvas of 3"}));
}

TEST(RingMessages, AVocabularyAndAModelArriveAsTheyWere) {
  const auto source = open_model("synthetic:nano?layers=2&hidden=64&vocab=512&canvas=16", {});
  const Vocabulary vocabulary = source->vocabulary();
  const std::string bytes = vocabulary_bytes(vocabulary);
  const Vocabulary read = vocabulary_of(bytes);
  EXPECT_EQ(read.tokens, vocabulary.tokens);
  EXPECT_EQ(read.types, vocabulary.types);
  EXPECT_EQ(read.merges, vocabulary.merges);
  ServedModel served{"demo", source->spec(), plan_local(source->spec(), {1, 1}), bytes.size()};
  served.plan.stages[1].name = "nas";
  const ServedModel got = served_of(sent(served_json(served)));
  EXPECT_EQ(got.spec.canvas, 16);
  EXPECT_EQ(got.plan.stages[1].name, "nas");
  EXPECT_EQ(got.plan.stages[1].layers, (LayerRange{1, 2}));
  EXPECT_EQ(got.plan.kv, served.plan.kv);
}

TEST(RingMessages, DamageIsRefused) {
  const std::string bytes = vocabulary_bytes(
      {{"a", "bc"}, {TokenType::normal, TokenType::byte}, {{"a", "bc"}}, "", false});
  for (size_t cut = 0; cut < bytes.size(); ++cut)
    EXPECT_THROW(vocabulary_of(bytes.substr(0, cut)), Fault) << cut;
  EXPECT_THROW(ids_of("abc"), Fault);
  const Json request = request_json({});
  for (const auto& [key, value] : request.items()) {
    Json damaged = request;
    damaged[key] = Json::array({"x"});
    EXPECT_THROW(request_of(damaged, ""), Fault) << key;
    damaged.erase(key);
    EXPECT_THROW(request_of(damaged, ""), Fault) << key;
  }
  Json step = {{"event", "step"}, {"canvas", 0},      {"step", 0},         {"max_steps", 1},
               {"step_ms", 1},    {"temperature", 1}, {"mean_entropy", 0}, {"accepted", "111"}};
  EXPECT_THROW(tell_event(step, ids_bytes(std::vector<int32_t>{1, 2}), {}), Fault);
}

}  // namespace
}  // namespace potluck
