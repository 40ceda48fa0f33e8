// Local plans balance bytes, and plans that cannot work are refused by name.
#include "topology/plan/plan.h"

#include <gtest/gtest.h>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/even_partitioner.h"
#include "topology/plan/gpu_needs.h"
#include "topology/plan/plan_check.h"

namespace potluck {
namespace {

// A model whose matrices of experts are in another type, as far as a plan looks at it.
class WithExperts final : public ModelSource {
 public:
  WithExperts(const ModelSource& source, DType type) : source_(source), tensors_(source.tensors()) {
    for (TensorInfo& tensor : tensors_) {
      if (tensor.shape.size() != 3) continue;
      tensor.type = type;
      tensor.bytes = row_bytes(type, tensor.elements());
    }
  }
  const ModelSpec& spec() const override { return source_.spec(); }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TensorBytes map(const TensorInfo& tensor) const override { return source_.map(tensor); }
  void drop_cached() const override {}
  Vocabulary vocabulary() const override { return source_.vocabulary(); }
  std::string description() const override { return source_.description(); }
  std::vector<std::string> notes() const override { return {}; }

 private:
  const ModelSource& source_;
  std::vector<TensorInfo> tensors_;
};

class PlanTest : public testing::Test {
 protected:
  std::string refusal(const Plan& plan) const {
    try {
      validate(plan, source_->spec());
    } catch (const Fault& fault) {
      return fault.what();
    }
    return "";
  }
  std::unique_ptr<ModelSource> source_ = open_model("synthetic:nano?layers=6");
  Plan plan_ = plan_local(source_->spec(), EvenPartitioner(3).layer_counts(*source_));
};

TEST_F(PlanTest, LocalPlansCoverEveryLayerOnce) {
  for (int stages = 1; stages <= 6; ++stages) {
    const Plan plan = plan_local(source_->spec(), EvenPartitioner(stages).layer_counts(*source_));
    EXPECT_EQ(plan.stage_count(), stages);
    EXPECT_EQ(refusal(plan), "");
  }
  EXPECT_THROW(EvenPartitioner(7).layer_counts(*source_), Fault);
  EXPECT_THROW(EvenPartitioner(0).layer_counts(*source_), Fault);
  EXPECT_THROW(plan_local(source_->spec(), {2, 3}), Fault);
}

// The largest of the three parts is the least possible, whatever the order of the costs.
TEST_F(PlanTest, SplitsByBytesNotByCount) {
  EXPECT_EQ(split_evenly({9, 1, 1, 1, 1, 1}, 2), (std::vector<int>{1, 5}));
  EXPECT_EQ(split_evenly({1, 1, 1, 9, 1, 1}, 3), (std::vector<int>{3, 1, 2}));
}

// A Load may say so by wire; whatever costs a worker its layers would look them up.
TEST_F(PlanTest, TheHeadHasNoLayers) {
  for (const LayerRange layers : {LayerRange{0, 1}, LayerRange{0, 1024}, LayerRange{5, 5}}) {
    Plan plan = plan_;
    plan.head.layers = layers;
    EXPECT_EQ(refusal(plan),
              "the head has layers " + range_text(layers) + "; layers belong to stages");
  }
}

TEST_F(PlanTest, GapsOverlapsAndStrangersAreNamed) {
  Plan gap = plan_;
  gap.stages[1].layers.begin = 3;
  EXPECT_NE(refusal(gap).find("nobody runs 2:3"), std::string::npos) << refusal(gap);
  Plan overlap = plan_;
  overlap.stages[1].layers.begin = 1;
  EXPECT_NE(refusal(overlap).find("belong to an earlier stage"), std::string::npos);
  Plan cycle = plan_;
  std::swap(cycle.stages[0], cycle.stages[2]);
  EXPECT_NE(refusal(cycle), "");
  Plan past = plan_;
  past.stages[2].layers.end = 9;
  EXPECT_NE(refusal(past).find("0:6"), std::string::npos);
  Plan twins = plan_;
  twins.stages[1].name = twins.stages[0].name;
  EXPECT_NE(refusal(twins).find("\"stage 0\" appears twice; give each"), std::string::npos);
  Plan unnamed = plan_;
  unnamed.stages[1].name.clear();
  EXPECT_NE(refusal(unnamed).find("a worker has an empty name"), std::string::npos);
  Plan context = plan_;
  context.ctx_size = 1 << 30;
  EXPECT_NE(refusal(context).find("context is 1073741824"), std::string::npos);
}

TEST_F(PlanTest, ARefusalForMemoryShowsTheArithmetic) {
  const MemoryNeed need = stage_need(*source_, plan_, 0);
  const std::string text = memory_refusal(plan_.stages[0], need, 1000).what();
  for (const std::string& part :
       {bytes_text(need.weights), bytes_text(need.kv), bytes_text(need.total())})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_NE(text.find("give it fewer layers"), std::string::npos) << text;
  const std::string head = memory_refusal(plan_.head, head_need(*source_, plan_), 1000).what();
  EXPECT_EQ(head.find("layers"), std::string::npos) << head;
  EXPECT_NE(head.find("give the head to a worker with more memory"), std::string::npos) << head;
}

// Vectors of bf16 become f32, and they are small.
TEST_F(PlanTest, ACardHoldsMatricesOfAnyTypeInAboutTheFilesBytes) {
  plan_.stages[0].device = "cuda:0";
  for (const DType type :
       {DType::q4_1, DType::q2_k, DType::q3_k, DType::iq4_xs, DType::iq2_xxs, DType::iq2_xs,
        DType::iq2_s, DType::iq3_xxs, DType::iq3_s, DType::iq1_s, DType::iq1_m, DType::mxfp4})
    for (const Precision precision : {Precision::exact, Precision::fast}) {
      plan_.precision = precision;
      const WithExperts source(*source_, type);
      uint64_t stored = 0;
      for (int i = 0; i < plan_.stages[0].layers.end; ++i) stored += layer_bytes(source)[i];
      EXPECT_LT(stage_need(source, plan_, 0).weights, 1.15 * stored) << dtype_name(type);
    }
}

TEST_F(PlanTest, WhatAWorkerCannotBeIsNamed) {
  const auto with = [&](const auto& change) {
    Plan plan = plan_;
    change(plan.stages[1]);
    return refusal(plan);
  };
  EXPECT_EQ(with([](WorkerPlan& w) { w.device = "hip:12"; }), "");
  for (const char* device : {"", "gpu", "cuda", "cuda:", "cuda:x", "cpu:0", "cuda:1234"})
    EXPECT_EQ(with([&](WorkerPlan& w) { w.device = device; }),
              "worker \"stage 1\" has device \"" + std::string(device) +
                  "\"; it can be cpu, cuda:N or hip:N");
  EXPECT_EQ(with([](WorkerPlan& w) { w.threads = -1; }),
            "the threads of worker \"stage 1\" is -1; it must be 0 to 1024");
  EXPECT_EQ(with([](WorkerPlan& w) { w.hop_type = DType::f32; }),
            "worker \"stage 1\" has hop f32; it can be the stream's bf16, or int8");
  const std::string last = with([](WorkerPlan& w) { w.layers = {5, -2147483647 - 1}; });
  EXPECT_NE(last.find("has layers 5:-2147483648"), std::string::npos) << last;
  Plan end = plan_;
  end.stages.back().layers.end = 5;
  EXPECT_EQ(refusal(end), "nobody runs layers 5:6; add a stage, or let \"stage 2\" end at 6");
}

TEST_F(PlanTest, NcclLinksTwoCardsOfOneVendor) {
  const auto with = [&](const char* from, const char* to) {
    Plan plan = plan_;
    plan.stages[1].by_nccl = true;
    plan.stages[1].device = from;
    plan.stages[2].device = to;
    return refusal(plan);
  };
  EXPECT_EQ(with("cuda:0", "cuda:1"), "");
  EXPECT_EQ(with("hip:1", "hip:0"), "");
  EXPECT_EQ(with("emulated:hip", "emulated:hip"), "");  // of a process each
  for (const auto& [from, to] : {std::pair{"cuda:0", "hip:0"}, {"cuda:0", "cpu"}, {"cpu", "cpu"}})
    EXPECT_EQ(with(from, to), "worker \"stage 1\" has transport nccl, from " + std::string(from) +
                                  " to " + to +
                                  " of \"stage 2\"; NCCL links cards of one vendor; leave its "
                                  "transport out");
  EXPECT_EQ(with("cuda:0", "cuda:0"),
            "worker \"stage 1\" has transport nccl, from cuda:0 to cuda:0 of \"stage 2\", which is "
            "the same card; NCCL links two cards; leave its transport out");
  Plan apart = plan_;
  apart.stages[1].by_nccl = true;
  apart.stages[1].device = apart.stages[2].device = "cuda:0";
  apart.stages[2].local = false;
  apart.stages[2].endpoint = "tcp://10.0.0.9:7000";
  EXPECT_EQ(refusal(apart), "");
  Plan last = plan_;
  last.stages.back().by_nccl = true;
  last.stages.back().device = "cuda:0";
  EXPECT_NE(refusal(last).find("to cpu of \"head\""), std::string::npos);
}

TEST_F(PlanTest, NcclTakesMemoryAtBothEndsOfItsLinks) {
  const auto workspace = [&](int sender) {
    Plan plan = plan_;
    for (WorkerPlan& stage : plan.stages) stage.device = "cuda:0";
    plan.head.device = "cuda:0";
    if (sender >= 0) plan.stages[sender].by_nccl = true;
    return std::vector{head_need(*source_, plan).workspace, stage_need(*source_, plan, 0).workspace,
                       stage_need(*source_, plan, 1).workspace,
                       stage_need(*source_, plan, 2).workspace};
  };
  const auto taken = [&](int sender) {
    std::vector<uint64_t> bytes = workspace(sender), without = workspace(-1);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] -= without[i];
    return bytes;
  };
  const uint64_t sends = nccl_bytes(true, false), receives = nccl_bytes(false, true);
  EXPECT_GT(sends, 100u << 20);
  EXPECT_GT(receives, sends);
  EXPECT_EQ(nccl_bytes(true, true), sends + receives);
  EXPECT_EQ(taken(0), (std::vector<uint64_t>{0, sends, receives, 0}));
  EXPECT_EQ(taken(2), (std::vector<uint64_t>{receives, 0, 0, sends}));
}

// A ring that comes back to a machine before its end would have one worker listen for two.
TEST_F(PlanTest, NoWorkerStandsInTheRingTwice) {
  Plan plan = plan_;
  plan.head.endpoint = "tcp://10.0.0.1:7000";
  for (size_t i = 0; i < plan.stages.size(); ++i)
    plan.stages[i].endpoint = "tcp://10.0.0.2:700" + std::to_string(i);
  EXPECT_EQ(refusal(plan), "");
  plan.stages[2].endpoint = plan.stages[0].endpoint;
  EXPECT_NE(
      refusal(plan).find("\"stage 2\" has endpoint tcp://10.0.0.2:7000, which \"stage 0\" has too"),
      std::string::npos);
  plan.stages[2].endpoint = plan.head.endpoint;
  EXPECT_NE(refusal(plan).find("\"stage 2\" has endpoint tcp://10.0.0.1:7000"), std::string::npos);
}

}  // namespace
}  // namespace potluck
