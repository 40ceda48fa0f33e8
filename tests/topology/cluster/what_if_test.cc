// Clusters change as the words of a what-if say, which are refused where the cluster does not have
// what they name.
#include "topology/cluster/what_if.h"

#include <gtest/gtest.h>

#include "topology/base/fault.h"
#include "topology/cluster/cluster_check.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/cluster/known_cards.h"
#include "topology/cluster/plan_endpoints.h"
#include "topology/model/synthetic.h"

namespace potluck {
namespace {

const std::string kText = R"(version: 1
network: {latency: 0.2ms, bandwidth: 1gbit}
hosts:
  - {name: desk, here: true, ports: 7100-7110, devices: [cuda:0, cpu]}
  - {name: old-nas, ssh: nas, addresses: [10.0.0.4], trusted: false}
)";

ClusterSpec changed(const std::string& words) {
  ClusterSpec cluster = parse_cluster(kText, "c");
  apply_what_if(cluster, words);
  return cluster;
}

std::string why_not(const std::string& words) {
  try {
    changed(words);
    return "";
  } catch (const Fault& fault) {
    return fault.what();
  }
}

TEST(WhatIf, ACardIsAddedWhereItIsSaid) {
  const ClusterSpec cluster = changed("add RTX 3090@old-nas");
  const DeviceSpec* card = find_device(cluster, "old-nas-3090");
  ASSERT_TRUE(card);
  EXPECT_EQ(card->device, "cuda:0");
  EXPECT_EQ(card->card, "3090");
  EXPECT_FALSE(card->may_be_head);  // its host is not trusted
  EXPECT_TRUE(find_device(changed("add 3090 @desk"), "desk-3090"));
  EXPECT_TRUE(find_device(changed("add 2x RTX 3090@desk"), "desk-3090-2"));
  const ClusterSpec two = changed("add 2x4090@desk");
  ASSERT_TRUE(find_device(two, "desk-4090") && find_device(two, "desk-4090-2"));
  EXPECT_EQ(find_device(two, "desk-4090-2")->device, "cuda:2");  // cuda:0 was there
  EXPECT_TRUE(find_device(two, "desk-4090")->may_be_head);
}

TEST(WhatIf, ALinkIsChangedInBothDirections) {
  const ClusterSpec cluster = changed("link desk-old-nas 2.5gbit 0.1ms");
  for (const auto& [from, to] : {std::pair("desk", "old-nas"), std::pair("old-nas", "desk")}) {
    const LinkSpec* link = find_link(cluster, from, to);
    ASSERT_TRUE(link);
    EXPECT_DOUBLE_EQ(link->mbit_per_s, 2500);
    EXPECT_DOUBLE_EQ(link->latency_ms, 0.1);
    EXPECT_EQ(link->source, Source::assumed);
  }
  EXPECT_DOUBLE_EQ(find_link(changed("link old-nas-desk 5gbit"), "desk", "old-nas")->latency_ms,
                   0.2);  // as it was
}

TEST(WhatIf, HostsAndDevicesAreRemoved) {
  EXPECT_EQ(changed("remove old-nas").hosts.size(), 1u);
  EXPECT_FALSE(find_device(changed("remove desk-cpu"), "desk-cpu"));
}

TEST(WhatIf, AnythingElseIsRefusedWithAWayOut) {
  EXPECT_EQ(why_not("add 3090@dsk"),
            "what if \"add 3090@dsk\": there is no host \"dsk\"; did you mean \"desk\"?");
  EXPECT_EQ(why_not("add 3090"),
            "what if \"add 3090\": it names no host; write CARD@HOST: add 3090@desk");
  EXPECT_NE(why_not("add 30 90@desk").find("\"30 90\" is no known card"), std::string::npos);
  EXPECT_EQ(why_not("add 3090@desk extra words"),
            "what if \"add 3090@desk extra words\": \"extra words\" is left over; write CARD@HOST: "
            "add 3090@desk");
  EXPECT_EQ(why_not("remove old-nas desk"),
            "what if \"remove old-nas desk\": \"desk\" is left over; write: remove nas");
  EXPECT_EQ(why_not("link desk-old-nas 1gbit 1ms now"),
            "what if \"link desk-old-nas 1gbit 1ms now\": \"now\" is left over; write: link "
            "desk-nas 2.5gbit 0.3ms");
  EXPECT_EQ(why_not("add 99x3090@desk"),
            "what if \"add 99x3090@desk\": it adds 99 cards; write 1 to 16");
  EXPECT_EQ(why_not("remove desk"),
            "what if \"remove desk\": \"desk\" is the host that coordinates; remove its "
            "devices one by one");
  EXPECT_EQ(why_not("link desk-nas 1gbit"),
            "what if \"link desk-nas 1gbit\": \"desk-nas\" does not name two hosts; write "
            "HOST-HOST; there are desk, old-nas");
  EXPECT_EQ(why_not("link desk-desk 1gbit"),
            "what if \"link desk-desk 1gbit\": a link goes from \"desk\" to itself; name two "
            "hosts; there are desk, old-nas");
  EXPECT_EQ(why_not("link desk-old-nas 1"),
            "what if \"link desk-old-nas 1\": \"1\" is not a rate; write a number and a unit: "
            "940mbit or 2.5gbit");
  EXPECT_EQ(why_not(""),
            "what if \"\": potluck knows no such change; write \"add 3090@desk\", \"link "
            "desk-nas 2.5gbit\" or \"remove nas\"");
}

TEST(WhatIf, AChangeIsGivenOnce) {
  ClusterSpec cluster = parse_cluster(kText, "c");
  apply_what_ifs(cluster, {"add 3090@desk", "add 4090@desk"});
  EXPECT_TRUE(find_device(cluster, "desk-3090") && find_device(cluster, "desk-4090"));
  try {
    apply_what_ifs(cluster, {"add 3060@desk", "add 3060@desk"});
    ADD_FAILURE();
  } catch (const Fault& fault) {
    EXPECT_EQ(std::string(fault.what()),
              "what if \"add 3060@desk\": this change is given twice; give each change once; two "
              "cards are \"add 2x3090@HOST\"");
  }
}

TEST(KnownCards, NamesAreReadAsPeopleWriteThem) {
  for (const char* name : {"3090", "RTX 3090", "rtx3090", "NVIDIA GeForce RTX 3090"}) {
    ASSERT_TRUE(find_card(name)) << name;
    EXPECT_EQ(find_card(name)->name, "3090");
  }
  EXPECT_EQ(find_card("rx7900xtx")->name, "7900 XTX");
  for (const char* name : {"8-core cpu", "RTX-3090", "4060Ti"})
    EXPECT_TRUE(find_card(name)) << name;
  for (const char* name :
       {"3090 Ti", "-3090", "3090-", "30 90", "3-090", "RTX  3090", "3090!", "3.090", "309\u00B0"})
    EXPECT_FALSE(find_card(name)) << name;
  EXPECT_FALSE(find_card(""));
}

TEST(KnownCards, AssumedTimesGrowWithTheModelsBitsAndSize) {
  const auto layer_ms = [](const std::string& text) {
    return assumed_speed(*find_card("3090"), *make_synthetic(text)).sliding_layer_ms;
  };
  const double q8 = layer_ms("released?layers=6&vocab=4096&type=q8_0&expert_type=q8_0");
  EXPECT_NEAR(q8, 2.20, 0.05);  // the table's, of the released model's layer
  const double q4 = layer_ms("released?layers=6&vocab=4096&type=q4_k&expert_type=q4_k");
  EXPECT_NEAR(q4, 1.77, 0.05);
  // Experts twice as large, which memory binds, and products as before.
  EXPECT_NEAR(layer_ms("released?layers=6&vocab=4096&type=bf16&expert_type=bf16"), 3.15, 0.1);
  EXPECT_LT(layer_ms("nano?layers=6"), 0.01 * q4);
}

TEST(KnownCards, ACardAndADeviceOfAnotherMakerContradict) {
  const auto refusal_of = [](const std::string& device) {
    try {
      parse_cluster("version: 1\nhosts:\n  - name: a\n    here: true\n    devices:\n      - {" +
                        device + "}\n",
                    "c");
      return std::string();
    } catch (const Fault& fault) {
      return std::string(fault.what());
    }
  };
  EXPECT_EQ(refusal_of("device: hip:0, card: 3090"),
            "c:6: \"card\" of \"a\" is 3090, and its device is hip:0; write \"device: cuda:0\", or "
            "the card that it is");
  EXPECT_NE(refusal_of("device: cuda:0, card: 7900 XTX").find("write \"device: hip:0\""),
            std::string::npos);
  EXPECT_NE(refusal_of("card: 3090").find("its device is cpu; write \"device: cuda:0\""),
            std::string::npos);
  EXPECT_NE(refusal_of("device: cuda:0, card: 8-core CPU").find("write \"device: cpu\""),
            std::string::npos);
  for (const char* device : {"device: hip:1, card: rx7900xtx",
                             "device: emulated:rdna, card: 7900 XTX", "card: 8-core CPU"})
    EXPECT_EQ(refusal_of(device), "");
  for (const char* name : {"cuda:00", "cuda:01", "cuda:+1", "cuda:-0", "hip:", "cuda:1000"})
    EXPECT_NE(
        refusal_of("device: '" + std::string(name) + "'").find("it can be cpu, cuda:N or hip:N"),
        std::string::npos)
        << name;
}

TEST(KnownCards, AStatedFigureWins) {
  ClusterSpec cluster = parse_cluster(
      "version: 1\nhosts:\n  - name: a\n    here: true\n    devices:\n"
      "      - {device: cuda:0, card: 3090, memory: 20GiB}\n"
      "      - {device: cuda:1, card: 3090, speed: {sliding_layer: 9ms, full_layer: 9ms}}\n",
      "c");
  assume_cards(cluster, *make_synthetic("nano?layers=6"));
  const DeviceSpec &first = cluster.hosts[0].devices[0], &second = cluster.hosts[0].devices[1];
  EXPECT_EQ(first.memory_bytes, 20ull << 30);
  EXPECT_EQ(first.memory_source, Source::stated);
  ASSERT_TRUE(first.speed && second.speed);
  EXPECT_EQ(first.speed->source, Source::assumed);
  EXPECT_EQ(second.speed->source, Source::stated);
  EXPECT_DOUBLE_EQ(second.speed->sliding_layer_ms, 9);
  EXPECT_NEAR(second.memory_bytes, 24 * 0.9 * (1 << 30), 1e6);
  EXPECT_EQ(second.memory_source, Source::assumed);
}

Plan plan_of_workers(const std::vector<std::string>& names) {
  Plan plan;
  plan.head.name = names.front();
  for (size_t i = 1; i < names.size(); ++i) plan.stages.emplace_back().name = names[i];
  return plan;
}

TEST(PlanEndpoints, WorkersListenWhereTheirHostsMay) {
  ClusterSpec cluster = parse_cluster(kText, "c");
  cluster.hosts[1].key = std::string(64, '7');
  Plan plan = plan_of_workers({"desk-cuda0-head", "desk-cuda0", "old-nas", "desk-cpu"});
  set_endpoints(plan, cluster);
  EXPECT_TRUE(plan.head.local && plan.stages[0].local && plan.stages[2].local);
  EXPECT_EQ(plan.head.endpoint, "tcp://*:7100");
  EXPECT_EQ(plan.stages[0].endpoint, "tcp://*:7101");
  EXPECT_EQ(plan.stages[2].endpoint, "tcp://*:7102");
  EXPECT_FALSE(plan.stages[1].local);
  EXPECT_EQ(plan.stages[1].endpoint, "tcp://10.0.0.4:7000");
  EXPECT_EQ(plan.stages[1].key, std::string(64, '7'));
  EXPECT_EQ(hosts_without_key(plan, cluster), std::vector<std::string>{});
}

TEST(PlanEndpoints, WhoMayBecomeTheHeadIsSaid) {
  const ClusterSpec cluster = parse_cluster(kText, "c");
  Plan plan = plan_of_workers({"desk-cuda0-head", "desk-cuda0", "old-nas", "laptop"});
  plan.stages[2].endpoint = "tcp://10.0.0.9:7000";
  set_endpoints(plan, cluster, {plan.stages[2]});
  EXPECT_TRUE(plan.head.may_be_head && plan.stages[0].may_be_head);
  EXPECT_FALSE(plan.stages[1].may_be_head);  // its host is not trusted
  EXPECT_FALSE(plan.stages[2].may_be_head);  // a guest
}

TEST(PlanEndpoints, AHostWithoutAnAddressOrAKeyIsNamed) {
  ClusterSpec cluster = parse_cluster(kText, "c");
  Plan plan = plan_of_workers({"desk-cuda0", "old-nas"});
  set_endpoints(plan, cluster);
  EXPECT_EQ(hosts_without_key(plan, cluster), std::vector<std::string>{"old-nas"});
  cluster.hosts[1].addresses.clear();
  try {
    set_endpoints(plan, cluster);
    ADD_FAILURE();
  } catch (const Fault& fault) {
    EXPECT_EQ(std::string(fault.what()),
              "c:5: \"old-nas\" has no \"addresses\"; say where the others reach it: addresses: "
              "[10.0.0.4]");
  }
}

TEST(PlanEndpoints, TheCoordinatorsHostMayBeNamed) {
  ClusterSpec cluster = parse_cluster(kText, "c");
  cluster.coordinator = "old-nas";
  cluster.hosts[0].addresses = {"10.0.0.3"};
  Plan plan = plan_of_workers({"desk-cuda0", "old-nas"});
  set_endpoints(plan, cluster);
  EXPECT_FALSE(plan.head.local);
  EXPECT_EQ(plan.head.endpoint, "tcp://10.0.0.3:7100");
  EXPECT_TRUE(plan.stages[0].local);
}

}  // namespace
}  // namespace potluck
