// A worker that an attacker has loaded: it has the link of the worker's coordinator, and that of
// the worker before. Afterwards the worker must serve an honest ring as ever.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/hostile/honest_ring.h"
#include "tests/hostile/hostile_peer.h"

namespace potluck {

inline constexpr RingId kRing{0xE71, 1};
inline constexpr char kNobody[] = "tcp://127.0.0.1:1";
inline constexpr size_t kRowBytes = kAttackedHidden * sizeof(float);

struct Attack {
  HostilePeer& coordinator;
  HostilePeer* previous;
  Plan plan;
  PeerId you;
  Digest model;
  std::string endpoint;  // the worker's

  void load(const Plan& other, PeerId as) const {
    RingId ring = kRing;
    ring.epoch = other.epoch;
    coordinator.say(load_of(other, as, ring, model));
  }
  // The worker refuses what the coordinator says last: all before it is done by then.
  void settle() const {
    coordinator.say(word(MessageKind::truncate, kRing, 999));
    EXPECT_TRUE(coordinator.hear(MessageKind::fault));
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

inline void PrintTo(const AgainstAWorker& attack, std::ostream* out) {
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

  void attack(PeerId you) {
    ASSERT_FALSE(expected_.empty());
    loaded_as(you);
    coordinator_.raw().hang_up();
    EXPECT_EQ(ask(), expected_);
  }

 private:
  void loaded_as(PeerId you) {
    Attack attack{coordinator_,        nullptr, lonely_plan(you), you, spec_digest(*source_),
                  workers_.endpoint(1)};
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

}  // namespace potluck
