// An offer of a machine comes across as it is, and says nothing that its author may not say.
#include "coordinator/membership/guest_offer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cluster/cli/time_text.h"
#include "cluster/launch/control_port.h"
#include "coordinator/membership/joined_cluster.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

const std::string kKey(64, 'a');

GuestOffer sample() {
  GuestOffer offer{"laptop", kKey, {{"tcp://10.0.0.4:7000", {}}, {"tcp://10.0.0.4:7001", {}}}};
  offer.workers[0].device = {.name = "laptop-cuda:0",
                             .device = "cuda:0",
                             .memory_bytes = uint64_t{11} << 30,
                             .may_be_head = false,
                             .speed = DeviceSpeed{2.5, 3.5, 9, 0.1, "", Source::measured}};
  offer.workers[1].device = {.name = "laptop-cpu", .threads = 4, .may_be_head = false};
  return offer;
}

std::string refusal_of_offer(const std::function<void()>& act) {
  try {
    act();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
    return fault.what();
  }
  return "taken";
}

TEST(GuestOffer, ComesAcrossAsItIs) {
  const GuestOffer back = guest_offer_of(json_of(sample()), kKey, "an offer");
  EXPECT_EQ(json_of(back), json_of(sample()));
  EXPECT_EQ(back.key, kKey);
  EXPECT_EQ(back.workers[0].device.memory_bytes, uint64_t{11} << 30);
  EXPECT_EQ(back.workers[0].device.speed->full_layer_ms, 3.5);
  EXPECT_FALSE(back.workers[1].device.speed);
}

TEST(GuestOffer, AGuestIsTrustedWithNoText) {
  Json said = json_of(sample());
  said["workers"][0]["may_be_head"] = true;
  for (const GuestWorker& worker : guest_offer_of(said, kKey, "an offer").workers)
    EXPECT_FALSE(worker.device.may_be_head || worker_plan_of(worker, kKey).may_be_head);
}

TEST(GuestOffer, ItsWorkersAreDialedByItsKeyAlone) {
  const GuestOffer offer = sample();
  const WorkerPlan worker = worker_plan_of(offer.workers[0], offer.key);
  EXPECT_EQ(worker.key, kKey);
  EXPECT_EQ(worker.endpoint, "tcp://10.0.0.4:7000");
  EXPECT_EQ(worker.name, "laptop-cuda:0");
  EXPECT_EQ(worker.memory_bytes, uint64_t{11} << 30);
  EXPECT_FALSE(worker.local);
}

TEST(GuestOffer, BadOnesAreNamed) {
  const auto with = [](const char* path, const Json& value) {
    Json said = json_of(sample());
    said[Json::json_pointer(path)] = value;
    return refusal_of_offer([&] { guest_offer_of(said, kKey, "an offer"); });
  };
  for (const auto& [path, value, part] :
       {std::tuple<const char*, Json, const char*>{"/host", "", "\"host\" is no name"},
        {"/host", 3, "host"},
        {"/host", "a\nb", "\"host\" is no name"},
        {"/host", std::string(81, 'x'), "\"host\" is no name"},
        {"/workers", Json::array(), "list of 1 to 16"},
        {"/workers", 3, "list of 1 to 16"},
        {"/workers/0", 3, "an offer"},
        {"/workers/0/name", "\x1b[2J", "\"name\" is no name"},
        {"/workers/0/endpoint", "tcp://127.0.0.1:7000", "reach nobody"},
        {"/workers/0/endpoint", "ipc:///tmp/x", "reach nobody"},
        {"/workers/0/endpoint", "tcp://*:7000", "reach nobody"},
        {"/workers/0/endpoint", "nowhere", "reach nobody"},
        {"/workers/0/memory_bytes", Json::array({-1}), "memory_bytes"},
        {"/workers/0/speed/head_ms", -1, "\"head_ms\" is no time"},
        {"/workers/0/speed/sliding_layer_ms", 1e300, "\"sliding_layer_ms\" is no time"},
        {"/workers/0/speed/full_layer_ms", "fast", "full_layer_ms"}})
    EXPECT_NE(with(path, value).find(part), std::string::npos) << path << ": " << with(path, value);
  Json many = json_of(sample());
  for (size_t i = 0; i < kGuestWorkersMax; ++i) many["workers"].push_back(many["workers"][0]);
  EXPECT_NE(refusal_of_offer([&] { guest_offer_of(many, kKey, "an offer"); }), "taken");
}

TEST(JoinedCluster, ComesBackFromItsTextAndKnowsWhereItWasSeenLast) {
  JoinedCluster cluster{kKey, {"10.0.0.3:7117"}};
  cluster = seen_at(cluster, "10.0.0.9:7117");
  cluster = seen_at(cluster, "10.0.0.3:7117");
  const JoinedCluster back = joined_cluster_of(text_of(cluster), "joined.json");
  EXPECT_EQ(back.key, kKey);
  EXPECT_EQ(back.addresses, (std::vector<std::string>{"10.0.0.3:7117", "10.0.0.9:7117"}));
  for (int i = 0; i < 20; ++i) cluster = seen_at(cluster, "host" + std::to_string(i) + ":1");
  EXPECT_EQ(cluster.addresses.size(), kJoinedAddressesMax);
  EXPECT_EQ(cluster.addresses.front(), "host19:1");
}

TEST(JoinedCluster, DamagedOnesAreNamed) {
  for (const char* text : {"", "{}", "{\"version\":1,\"key\":\"abc\",\"addresses\":[]}",
                           "{\"version\":1,\"key\":3,\"addresses\":[]}"})
    EXPECT_NE(refusal_of_offer([&] {
                joined_cluster_of(text, "joined.json");
              }).find("joined.json is damaged"),
              std::string::npos);
}

TEST(TimeText, ReadsMinutesHoursAndDays) {
  EXPECT_EQ(parse_ttl("30m"), 1800);
  EXPECT_EQ(parse_ttl("24h"), 86400);
  EXPECT_EQ(parse_ttl("366d"), 366 * 86400);
  for (const char* text :
       {"", "h", "24", "0h", "-1h", "24x", "367d", "24hh", "1.5h", "99999999999999999999d", " 1h"})
    EXPECT_NE(refusal_of_offer([&] { parse_ttl(text); }).find("is no span of time"),
              std::string::npos)
        << text;
}

TEST(TimeText, SaysWhatIsLeft) {
  EXPECT_EQ(span_text(59), "a moment");
  EXPECT_EQ(span_text(60), "1 minute");
  EXPECT_EQ(span_text(7199), "1 hour");
  EXPECT_EQ(span_text(86400), "24 hours");
  EXPECT_EQ(span_text(3 * 86400), "3 days");
}

TEST(ControlPort, AddressesGetThePortThatTheyLack) {
  EXPECT_EQ(
      control_addresses_of({"10.0.0.3", "desk.home:99", "[fd00::3]", "[fd00::3]:7"}),
      (std::vector<std::string>{"10.0.0.3:7117", "desk.home:99", "[fd00::3]:7117", "[fd00::3]:7"}));
  for (const char* text : {"", "a b", "tcp://10.0.0.3", "fd00::3", "10.0.0.3:70000"})
    EXPECT_NE(refusal_of_offer([&] { control_addresses_of({text}); }).find("is no address"),
              std::string::npos)
        << text;
  EXPECT_NE(refusal_of_offer([] { control_addresses_of(std::vector<std::string>(9, "a")); }),
            "taken");
}

}  // namespace
}  // namespace potluck
