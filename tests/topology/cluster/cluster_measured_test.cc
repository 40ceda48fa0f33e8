// Measured figures fill what nobody has stated, and are written without touching anything else.
#include "topology/cluster/cluster_measured.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/topology/model/temp_folder.h"
#include "topology/base/fault.h"
#include "topology/cluster/cluster_check.h"
#include "topology/cluster/cluster_yaml.h"

namespace potluck {
namespace {

const std::string kTop = R"(version: 1   # mine
hosts:
  - {name: desk, here: true, devices: [{device: cuda:0, memory: 8GiB}, cpu]}
  - name: nas
    ssh: nas
    devices: [{device: cpu, speed: {sliding_layer: 40ms, full_layer: 50ms}}]
)";
const std::string kOld = R"(measured:
  # what doctor wrote
  devices:
    - {name: "desk-cuda0", device: "cuda:0", memory: 10GiB, sliding_layer: 2ms, full_layer: 3ms}
    - {name: "gone", device: "cpu", memory: 1GiB}
  links:
    - {from: "gone", to: "nas", latency: 1ms, bandwidth: 1mbit}
)";
const std::string kBelow = R"(
# links that I know better
links:
  - {from: desk, to: nas, bandwidth: 940mbit}
)";

class MeasuredFile : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path_) << text; }
  std::string read() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  ClusterSpec measured_cluster() const {
    ClusterSpec cluster = read_cluster(path_);
    DeviceSpec& cpu = cluster.hosts[0].devices[1];
    cpu.memory_bytes = 20ull << 30;
    cpu.memory_source = Source::measured;
    cpu.speed = DeviceSpeed{30.5, 41.25, 300, 0.05, "abc123", Source::measured};
    cluster.links = {{"nas", "desk", 0.31, 941.5, false, Source::measured, 0}};
    return cluster;
  }

  TempFolder folder_;
  const std::string path_ = folder_.path() + "/cluster.yaml";
};

TEST_F(MeasuredFile, WhatIsStatedWins) {
  const ClusterSpec cluster = parse_cluster(kTop + R"(measured:
  devices:
    - {name: desk-cuda0, device: cuda:0, memory: 10GiB, sliding_layer: 2ms, full_layer: 3ms}
    - {name: desk-cpu, device: cpu, memory: 20GiB, sliding_layer: 30ms, full_layer: 41ms, model: d}
    - {name: nas, device: cpu, sliding_layer: 1ms, full_layer: 1ms, head: 200ms, message: 1ms}
    - {name: nas, device: cuda:0, memory: 1GiB}
  links:
    - {from: desk, to: nas, latency: 0.4ms, bandwidth: 930mbit}
    - {from: nas, to: desk, latency: 0.5ms, bandwidth: 920mbit}
)" + kBelow,
                                            "c");
  const DeviceSpec &card = cluster.hosts[0].devices[0], &cpu = cluster.hosts[0].devices[1],
                   &nas = cluster.hosts[1].devices[0];
  EXPECT_EQ(card.memory_bytes, 8ull << 30);
  EXPECT_EQ(card.memory_source, Source::stated);
  ASSERT_TRUE(card.speed && cpu.speed && nas.speed);
  EXPECT_EQ(card.speed->source, Source::measured);
  EXPECT_DOUBLE_EQ(card.speed->full_layer_ms, 3);
  EXPECT_EQ(cpu.memory_bytes, 20ull << 30);
  EXPECT_EQ(cpu.memory_source, Source::measured);
  EXPECT_EQ(cpu.speed->model, "d");
  EXPECT_DOUBLE_EQ(nas.speed->sliding_layer_ms, 40);
  EXPECT_DOUBLE_EQ(nas.speed->head_ms, 200);  // nobody has stated that one
  EXPECT_EQ(nas.memory_bytes, 0u);            // it is another device that was measured
  for (const auto& [from, to] : {std::pair("desk", "nas"), std::pair("nas", "desk")}) {
    const LinkSpec* link = find_link(cluster, from, to);
    ASSERT_TRUE(link);
    EXPECT_DOUBLE_EQ(link->mbit_per_s, 940);
    EXPECT_EQ(link->source, Source::stated);
    EXPECT_DOUBLE_EQ(link->latency_ms, from[0] == 'd' ? 0.4 : 0.5);
  }
}

TEST_F(MeasuredFile, EveryOtherByteStays) {
  for (const std::string& old : {kOld, std::string()}) {
    write(kTop + old + kBelow);
    chmod(path_.c_str(), 0640);
    write_measured(path_, measured_cluster());
    const std::string text = read();
    const size_t at = text.find("measured:\n");
    ASSERT_NE(at, std::string::npos);
    const std::string section = text.substr(at, text.find("}\n\n", at) + 2 - at);
    EXPECT_EQ(text, old.empty() ? kTop + kBelow + text.substr(at) : kTop + section + kBelow);
    EXPECT_EQ(text.find("gone"), std::string::npos);
    struct stat status;
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640u);
    const ClusterSpec back = read_cluster(path_);
    const auto& speed = back.hosts[0].devices[1].speed;
    ASSERT_TRUE(speed);
    EXPECT_DOUBLE_EQ(speed->sliding_layer_ms, 30.5);
    EXPECT_DOUBLE_EQ(speed->message_ms, 0.05);
    EXPECT_EQ(speed->model, "abc123");
    EXPECT_DOUBLE_EQ(find_link(back, "nas", "desk")->latency_ms, 0.31);
    write_measured(path_, measured_cluster());
    EXPECT_EQ(read(), text);  // again is the same
  }
}

TEST_F(MeasuredFile, CommentsBelowTheSectionStay) {
  const std::string tail = "\n# the end\n";
  write(kTop + kOld + tail);
  write_measured(path_, measured_cluster());
  const std::string text = read();
  EXPECT_EQ(text.substr(text.size() - tail.size()), tail);
  EXPECT_EQ(text.find("what doctor wrote"), std::string::npos);
}

TEST_F(MeasuredFile, ALinkToTheFileStaysALink) {
  write(kTop);
  const std::string link = folder_.path() + "/link.yaml";
  std::filesystem::create_symlink(path_, link);
  write_measured(link, measured_cluster());
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_NE(read().find("measured:"), std::string::npos);
}

TEST_F(MeasuredFile, AFileOnOneLineIsLeftAlone) {
  const std::string text =
      "{version: 1, hosts: [{name: desk, here: true, devices: [cuda:0, cpu]}, "
      "{name: nas, ssh: nas}]}\n";
  write(text);
  try {
    write_measured(path_, measured_cluster());
    ADD_FAILURE() << read();
  } catch (const Fault& fault) {
    EXPECT_EQ(std::string(fault.what()),
              path_ +
                  ": there is no place for a section \"measured\"; write its keys on lines of "
                  "their own, as in cluster/examples");
  }
  EXPECT_EQ(read(), text);
  const auto files = std::filesystem::directory_iterator(folder_.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

}  // namespace
}  // namespace potluck
