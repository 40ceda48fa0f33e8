// Clusters are read field by field; what is left out has its default.
#include "topology/cluster/cluster_yaml.h"

#include <gtest/gtest.h>

#include "topology/base/fault.h"
#include "topology/cluster/cluster_check.h"

namespace potluck {
namespace {

const std::string kKey = "00e1" + std::string(60, '7');
const std::string kWholeCluster = R"(version: 1
model: hf:unsloth/diffusiongemma-26B-A4B-it-GGUF:Q4_K_M
head: desk-cuda0
options: {context: 4096, sessions: 4, canvases: 3, objective: throughput, precision: exact}
network: {latency: 0.2ms, bandwidth: 1gbit}
hosts:
  - name: desk          # a comment
    here: true
    addresses: [10.0.0.3, "[fd00::3]"]
    ports: 7000-7010
    key: )" + kKey + R"(
    devices:
      - device: cuda:0
        memory: 11GiB
        speed: {sliding_layer: 2.1ms, full_layer: 2.4ms, head: 9ms, message: 100us}
        role: [head, layers]
        yield: {when_busy: true, hours: "22:00-08:00", temperature: 80}
        power: 250W
      - {name: cores, memory: 20GiB, threads: 8, role: no-head}
  - name: nas
    ssh: me@nas
    addresses: [10.0.0.4]
    trusted: false
    program: /opt/potluck
    devices: [hip:1]
  - {name: old, ssh: old, addresses: [10.0.0.5], model: /m.gguf}
links:
  - {from: desk, to: nas, latency: 0.3ms, bandwidth: 940mbit, hop: int8}
  - {from: nas, to: desk, bandwidth: 500mbit}
  - {from: desk, to: old, hop: int8}
)";

TEST(ClusterYaml, EveryFieldOfAClusterArrives) {
  const ClusterSpec cluster = parse_cluster(kWholeCluster, "cluster.yaml");
  EXPECT_EQ(cluster.file, "cluster.yaml");
  EXPECT_EQ(cluster.model, "hf:unsloth/diffusiongemma-26B-A4B-it-GGUF:Q4_K_M");
  EXPECT_EQ(cluster.head, "desk-cuda0");
  EXPECT_EQ(cluster.options.context, 4096);
  EXPECT_EQ(cluster.options.sessions, 4);
  EXPECT_EQ(cluster.options.canvases, 3);
  EXPECT_EQ(cluster.options.objective, "throughput");
  EXPECT_EQ(cluster.options.precision, Precision::exact);
  ASSERT_EQ(cluster.hosts.size(), 3u);
  const HostSpec& desk = cluster.hosts[0];
  EXPECT_EQ(desk.ssh, "");
  EXPECT_EQ(desk.addresses, (std::vector<std::string>{"10.0.0.3", "[fd00::3]"}));
  EXPECT_EQ(desk.port_first, 7000);
  EXPECT_EQ(desk.port_last, 7010);
  EXPECT_EQ(desk.key, kKey);
  EXPECT_EQ(desk.line, 7);
  EXPECT_EQ(cluster.hosts[1].ssh, "me@nas");
  EXPECT_EQ(cluster.hosts[1].program, "/opt/potluck");
  EXPECT_FALSE(cluster.hosts[1].trusted);
  EXPECT_EQ(cluster.hosts[2].model, "/m.gguf");
}

TEST(ClusterYaml, EveryFieldOfADeviceArrives) {
  const ClusterSpec cluster = parse_cluster(kWholeCluster, "cluster.yaml");
  const DeviceSpec* card = find_device(cluster, "desk-cuda0");
  ASSERT_TRUE(card && card->speed);
  EXPECT_EQ(card->device, "cuda:0");
  EXPECT_EQ(card->memory_bytes, 11ull << 30);
  EXPECT_DOUBLE_EQ(card->speed->sliding_layer_ms, 2.1);
  EXPECT_DOUBLE_EQ(card->speed->full_layer_ms, 2.4);
  EXPECT_DOUBLE_EQ(card->speed->head_ms, 9);
  EXPECT_DOUBLE_EQ(card->speed->message_ms, 0.1);
  EXPECT_EQ(card->speed->source, Source::stated);
  EXPECT_TRUE(card->may_be_head && card->may_hold_layers && !card->spare);
  EXPECT_TRUE(card->courtesy.when_busy);
  EXPECT_EQ(card->courtesy.hours, "22:00-08:00");
  EXPECT_EQ(card->courtesy.celsius_max, 80);
  EXPECT_EQ(card->courtesy.watts_max, 250);
  const DeviceSpec* cores = find_device(cluster, "cores");
  ASSERT_TRUE(cores);
  EXPECT_EQ(cores->device, "cpu");
  EXPECT_EQ(cores->threads, 8);
  EXPECT_TRUE(!cores->may_be_head && cores->may_hold_layers && !cores->speed);
  const DeviceSpec* nas = find_device(cluster, "nas");
  ASSERT_TRUE(nas);
  EXPECT_EQ(nas->device, "hip:1");
  EXPECT_FALSE(nas->may_be_head);
  const DeviceSpec* old = find_device(cluster, "old");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->device, "cpu");
  EXPECT_TRUE(old->may_be_head);
}

TEST(ClusterYaml, ALinkGoesBothWaysUnlessTheOtherWayIsListed) {
  const ClusterSpec cluster = parse_cluster(kWholeCluster, "cluster.yaml");
  ASSERT_EQ(cluster.links.size(), 4u);
  const LinkSpec* out = find_link(cluster, "desk", "nas");
  const LinkSpec* back = find_link(cluster, "nas", "desk");
  const LinkSpec* far = find_link(cluster, "old", "desk");
  ASSERT_TRUE(out && back && far);
  EXPECT_DOUBLE_EQ(out->mbit_per_s, 940);
  EXPECT_TRUE(out->may_be_lossy);
  EXPECT_DOUBLE_EQ(back->mbit_per_s, 500);
  EXPECT_FALSE(back->may_be_lossy);
  EXPECT_DOUBLE_EQ(back->latency_ms, 0.2);  // the network's
  EXPECT_EQ(back->source, Source::stated);
  EXPECT_DOUBLE_EQ(far->mbit_per_s, 1000);  // the network's
  EXPECT_EQ(far->source, Source::assumed);
  EXPECT_TRUE(far->may_be_lossy);
}

TEST(ClusterYaml, OneWayAloneIsAskedFor) {
  const std::string text =
      "version: 1\nhosts: [{name: a, here: true}, {name: b, ssh: b}]\n"
      "links: [{from: a, to: b, bandwidth: 1gbit, both: false}]\n";
  const ClusterSpec cluster = parse_cluster(text, "c");
  ASSERT_EQ(cluster.links.size(), 1u);
  EXPECT_DOUBLE_EQ(cluster.links[0].latency_ms, kLatencyAssumedMs);
}

TEST(ClusterYaml, WhatIsLeftOutHasItsDefault) {
  const ClusterSpec cluster =
                        parse_cluster("version: 1\nhosts:\n  - {name: me, here: true}\n", "c"),
                    fresh;
  EXPECT_EQ(cluster.options.context, fresh.options.context);
  EXPECT_EQ(cluster.options.objective, "latency");
  EXPECT_EQ(cluster.options.transport, "zmq");
  EXPECT_FALSE(cluster.network);
  ASSERT_EQ(cluster.hosts.size(), 1u);
  EXPECT_TRUE(cluster.hosts[0].trusted && cluster.hosts[0].port_first == 0);
  ASSERT_EQ(cluster.hosts[0].devices.size(), 1u);
  EXPECT_EQ(cluster.hosts[0].devices[0].name, "me");
  EXPECT_EQ(cluster.hosts[0].devices[0].memory_bytes, 0u);
}

TEST(ClusterYaml, ARoleIsAWordOrAList) {
  const auto device = [](const std::string& role) {
    return parse_cluster(
               "version: 1\nhosts:\n  - name: a\n    here: true\n    devices:\n"
               "      - {device: cuda:0, role: " +
                   role + "}\n      - cpu\n",
               "c")
        .hosts[0]
        .devices[0];
  };
  EXPECT_TRUE(device("head").may_be_head && !device("head").may_hold_layers);
  EXPECT_TRUE(!device("layers").may_be_head && device("layers").may_hold_layers);
  EXPECT_TRUE(!device("no-head").may_be_head && device("no-head").may_hold_layers);
  EXPECT_TRUE(device("spare").spare && device("spare").may_be_head);
  EXPECT_TRUE(device("[spare, no-head]").spare && !device("[spare, no-head]").may_be_head);
  EXPECT_TRUE(device("[head, layers]").may_be_head && device("[head, layers]").may_hold_layers);
}

}  // namespace
}  // namespace potluck
