// Plan files are read, written and refused with place and fix.
#include "topology/plan/plan_yaml.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <span>
#include <string>

#include "topology/base/byte_size.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

const std::string kWholePlan = R"(version: 1
stream: f32
kv: bf16
context: 4096
sessions: 2
chunk: 64
slots: 3
head:
  name: big-desktop
  endpoint: tcp://10.0.0.3:7000
  device: cuda:1
  threads: 4
  memory: 6GiB
  hop: int8
stages:
  - name: old-laptop   # a comment
    endpoint: tcp://10.0.0.4:7000
    layers: 0:10
  - name: "beside: me"
    start: here
    endpoint: tcp://10.0.0.2:7001
    memory: 500 MB
    transport: nccl
    role: no-head
    layers: 10:30
)";

const std::string kLeast = R"(version: 1
head: {start: here}
stages:
  - {start: here, layers: "0:5"}
  - {endpoint: "tcp://127.0.0.1:7000", layers: 5:6}
)";

// The refusal of a plan as one line; "" if it was read.
std::string refusal_of_plan(const std::string& text) {
  try {
    parse_plan(text, "plan.yaml");
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
    std::printf("%s\n", fault.what());
    return fault.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

struct Wrong {
  const char *from, *to, *line;
};

void expect_refusals(std::span<const Wrong> all) {
  EXPECT_EQ(refusal_of_plan(kWholePlan), "");
  for (const Wrong& wrong : all) {
    const std::string line = refusal_of_plan(replaced(kWholePlan, wrong.from, wrong.to));
    EXPECT_NE(line.find(wrong.line), std::string::npos)
        << wrong.to << "\n  got      " << line << "\n  expected " << wrong.line;
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
  }
}

TEST(PlanYaml, EveryFieldArrives) {
  const Plan plan = parse_plan(kWholePlan, "plan.yaml");
  EXPECT_EQ(plan.stream, DType::f32);
  EXPECT_EQ(plan.kv, DType::bf16);
  EXPECT_EQ(plan.ctx_size, 4096);
  EXPECT_EQ(plan.sessions, 2);
  EXPECT_EQ(plan.chunk, 64);
  EXPECT_EQ(plan.slots, 3);
  EXPECT_EQ(plan.head.name, "big-desktop");
  EXPECT_EQ(plan.head.endpoint, "tcp://10.0.0.3:7000");
  EXPECT_EQ(plan.head.device, "cuda:1");
  EXPECT_EQ(plan.head.threads, 4);
  EXPECT_EQ(plan.head.memory_bytes, 6ull << 30);
  EXPECT_EQ(plan.head.hop_type, DType::q8_0);
  EXPECT_FALSE(plan.head.local);
  ASSERT_EQ(plan.stage_count(), 2);
  EXPECT_EQ(plan.stages[0].layers, (LayerRange{0, 10}));
  EXPECT_EQ(plan.stages[0].hop_type, DType::f32);  // the stream's
  EXPECT_EQ(plan.stages[1].name, "beside: me");
  EXPECT_TRUE(plan.stages[1].local);
  EXPECT_EQ(plan.stages[1].memory_bytes, 500'000'000u);
  EXPECT_TRUE(plan.stages[1].by_nccl);
  EXPECT_FALSE(plan.stages[0].by_nccl);
  EXPECT_FALSE(plan.stages[1].may_be_head);
  EXPECT_TRUE(plan.stages[0].may_be_head);
}

TEST(PlanYaml, AWorkersKeyIsSixtyFourDigits) {
  const std::string at = "tcp://10.0.0.4:7000\n", key = "00e1" + std::string(60, '7');
  const Plan plan =
      parse_plan(replaced(kWholePlan, at, at + "    key: " + key + "\n"), "plan.yaml");
  EXPECT_EQ(plan.stages[0].key, key);
  EXPECT_EQ(plan.head.key, "");
  EXPECT_EQ(parse_plan(plan_yaml(plan), "again").stages[0].key, key);
  for (const std::string& wrong : {key.substr(1), key + "7", std::string(64, 'A'),
                                   std::string(64, 'g'), std::string("\"\"")}) {
    try {
      parse_plan(replaced(kWholePlan, at, at + "    key: " + wrong + "\n"), "plan.yaml");
      ADD_FAILURE() << wrong;
    } catch (const Fault& fault) {
      EXPECT_NE(std::string(fault.what()).find("plan.yaml:18: \"key\" is "), std::string::npos)
          << fault.what();
    }
  }
}

TEST(PlanYaml, WhatIsLeftOutHasThePlansDefault) {
  const Plan plan = parse_plan(kLeast, "plan.yaml"), fresh;
  EXPECT_EQ(plan.stream, fresh.stream);
  EXPECT_EQ(plan.ctx_size, 0);  // the model's, which read_plan knows
  EXPECT_EQ(plan.slots, fresh.slots);
  EXPECT_EQ(plan.head.name, "head");
  EXPECT_EQ(plan.stages[1].name, "stage 1");
  EXPECT_EQ(plan.stages[0].device, "cpu");
  EXPECT_EQ(plan.stages[0].hop_type, plan.stream);
  EXPECT_TRUE(plan.stages[0].local && plan.stages[0].endpoint.empty());
}

TEST(PlanYaml, WhatIsWrittenIsReadBack) {
  for (const std::string& text : {kWholePlan, kLeast}) {
    const std::string once = plan_yaml(parse_plan(text, "plan.yaml"));
    EXPECT_EQ(plan_yaml(parse_plan(once, "again.yaml")), once);
  }
  const std::string written = plan_yaml(parse_plan(kWholePlan, "plan.yaml"));
  for (const char* part :
       {"hop: int8", "memory: 6GiB", "memory: 500MB", "\"beside: me\"", "layers: \"10:30\"",
        "start: here", "device: cuda:1", "threads: 4", "transport: nccl", "role: no-head"})
    EXPECT_NE(written.find(part), std::string::npos) << part << " in\n" << written;
  Plan odd = parse_plan(kLeast, "plan.yaml");
  odd.stages[0].name = "null";
  odd.stages[1].name =
      "- it's #1, \"K\xC3\xBC"
      "che\"";
  const Plan back = parse_plan(plan_yaml(odd), "odd.yaml");
  EXPECT_EQ(back.stages[0].name, odd.stages[0].name);
  EXPECT_EQ(back.stages[1].name, odd.stages[1].name);
}

TEST(PlanYaml, EachSlipIsOneLineWithPlaceAndFix) {
  constexpr Wrong kWrong[] = {
      {"layers: 0:10", "layer: 0:10",
       "plan.yaml:18: unknown key \"layer\"; did you mean \"layers\"?"},
      {"slots: 3", "colour: 3", "plan.yaml:7: unknown key \"colour\"; there are version, stream"},
      {"device: cuda:1", "layers: 0:3", "plan.yaml:11: unknown key \"layers\""},
      {"kv: bf16", "stream: bf16", "plan.yaml:3: \"stream\" appears twice, first in line 2"},
      {"threads: 4", "threads: four", "plan.yaml:12: \"threads\" is \"four\"; it must be a whole"},
      {"slots: 3", "slots: 3.5", "plan.yaml:7: \"slots\" is \"3.5\""},
      {"chunk: 64", "chunk: 99999999999", "plan.yaml:6: \"chunk\" is \"99999999999\""},
      {"chunk: 64", "chunk: [64]", "plan.yaml:6: \"chunk\" is a list; it must be one word"},
      {"chunk: 64", "chunk: {a: 1}", "plan.yaml:6: \"chunk\" is a map; it must be one word"},
      {"chunk: 64", "chunk:", "plan.yaml:6: \"chunk\" has no value"},
      {"chunk: 64", "chunk: ~", "plan.yaml:6: \"chunk\" has no value"},
      {"chunk: 64", "chunk: ''", "plan.yaml:6: \"chunk\" is empty; it must be one word"},
      {"memory: 6GiB", "memory: 6Gigs", "plan.yaml:13: \"memory\": \"6Gigs\" is not a size"},
      {"memory: 6GiB", "memory: -1", "plan.yaml:13: \"memory\": \"-1\" is not a size"},
      {"memory: 6GiB", "memory: 0", "plan.yaml:13: \"memory\": \"0\" is not a sensible size"},
      {"stream: f32", "stream: f16",
       "plan.yaml:2: \"stream\" is \"f16\"; it can be one of bf16, f32"},
      {"hop: int8", "hop: q4_0", "plan.yaml:14: \"hop\" is \"q4_0\"; it can be one of f32, int8"},
      {"transport: nccl", "transport: zmq",
       "plan.yaml:23: \"transport\" is \"zmq\"; it can only be nccl"},
      {"role: no-head", "role: spare",
       "plan.yaml:24: \"role\" is \"spare\"; it can only be no-head"},
      {"device: cuda:1", "role: no-head", "plan.yaml:11: unknown key \"role\""},
      {"layers: 0:10", "layers: 10", "plan.yaml:18: \"layers\" is \"10\"; it must be a half-open"},
      {"layers: 0:10", "layers: 0:x",
       "plan.yaml:18: \"layers\" is \"0:x\"; it must be a half-open"},
      {"    layers: 0:10\n", "", "plan.yaml:16: stage 1 has no \"layers\"; give its half-open"},
      {"endpoint: tcp://10.0.0.4:7000\n", "device: cpu\n",
       "plan.yaml:16: \"old-laptop\" has no \"endpoint\"; give where it listens"},
      {"tcp://10.0.0.4:7000", "10.0.0.4:7000", "plan.yaml:17: \"endpoint\" is \"10.0.0.4:7000\""},
      {"tcp://10.0.0.4:7000", "tcp://10.0.0.4:70000", "it must be tcp://HOST:PORT"},
      {"start: here", "start: there", "plan.yaml:20: \"start\" is \"there\"; it can only be here"},
      {"version: 1", "version: 2", "plan.yaml:1: \"version\" is \"2\"; this potluck reads version"},
      {"version: 1\n", "", "plan.yaml:1: the plan has no \"version\"; begin the file with"},
      {"head:\n", "haed:\n", "plan.yaml:8: unknown key \"haed\"; did you mean \"head\"?"},
  };
  expect_refusals(kWrong);
}

TEST(PlanYaml, WhatIsNoYamlIsOneLineWithPlaceAndFix) {
  constexpr Wrong kWrong[] = {
      {"  name: big-desktop", "\tname: big-desktop",
       "plan.yaml:9: this line begins with a tab; indent with spaces"},
      {"  name: big-desktop", "   name: big-desktop", "plan.yaml:10: this is not YAML: "},
      {"name: big-desktop", "name: &a big-desktop", "plan.yaml:9: anchors (&) and aliases (*)"},
      {"name: big-desktop", "name: *a", "plan.yaml:9: "},
      {"name: big-desktop", "name: !!str x", "plan.yaml:9: tags (\"tag:yaml.org,2002:str\")"},
      {"name: big-desktop", "name: \"a\\nb\"", "plan.yaml:9: a value has a line break or control"},
      {"name: big-desktop", "name: \xFF", "plan.yaml:9: this is not valid UTF-8"},
      {"kv: bf16", "---\nkv: bf16", "plan.yaml:3: a second document begins here"},
      {"kv: bf16", "? [a, b]\n: bf16",
       "plan.yaml:3: a key is a list or a map; it must be one word; see that brackets and quotes "
       "are "
       "closed"},
      {"name: big-desktop", "name: [{a: b", "see that brackets and quotes are closed"},
      {"name: big-desktop", "name: [{a: \"b}]", "see that brackets and quotes are closed"},
  };
  expect_refusals(kWrong);
}

TEST(PlanYaml, FilesThatAreNoPlansAreRefused) {
  for (const std::string& text :
       {std::string(), std::string("# nothing\n"), std::string("7\n"), std::string("- a\n- b\n"),
        std::string("version: 1\nhead: {start: here}\nstages: []\n"),
        std::string("version: 1\nhead: here\nstages:\n  - {start: here, layers: 0:1}\n"),
        std::string("version: 1\0", 11), std::string("{{{{")})
    EXPECT_NE(refusal_of_plan(text), "") << text;
}

TEST(PlanYaml, BombsAndAbsurdNestingEndAtTheirLimits) {
  std::string bomb = "version: 1\na: &a [x, x]\n";
  for (char c = 'b'; c < 'z'; ++c)
    bomb += std::string() + c + ": &" + c + " [*" + char(c - 1) + ", *" + char(c - 1) + "]\n";
  EXPECT_NE(refusal_of_plan(bomb).find("plan.yaml:2: anchors"), std::string::npos);
  EXPECT_NE(refusal_of_plan("a: " + std::string(20000, '[') + std::string(20000, ']'))
                .find("nested more than 8 deep"),
            std::string::npos);
  for (const char* open : {"{", "[", "- ", "? ", "{a: ", "&a "}) {
    std::string deep;
    for (int i = 0; i < 20000; ++i) deep += open;
    EXPECT_NE(refusal_of_plan(deep), "") << open;
  }
  EXPECT_NE(
      refusal_of_plan("version: " + std::string(10000, 'x')).find("10000 bytes; give at most 4096"),
      std::string::npos);
  const std::string path = testing::TempDir() + "/large-plan.yaml";
  FILE* file = std::fopen(path.c_str(), "w");
  std::fputs(("#" + std::string(300 << 10, '#')).c_str(), file);
  std::fclose(file);
  try {
    read_plan(path, {});
    ADD_FAILURE() << "a plan of 300 KiB was read";
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("more than 262144"), std::string::npos)
        << fault.text();
  }
  std::remove(path.c_str());
}

// Each worker is dialed by the one before it in the ring, and the head by the last stage.
TEST(PlanYaml, NobodyIsAskedToDialAnotherMachinesLoopback) {
  const std::string behind = replaced(kWholePlan, "tcp://10.0.0.2:7001", "tcp://127.0.0.1:7001");
  EXPECT_NE(
      refusal_of_plan(behind).find("plan.yaml:21: \"beside: me\" listens on tcp://127.0.0.1:7001, "
                                   "which \"old-laptop\" (tcp://10.0.0.4:7000) cannot dial"),
      std::string::npos);
  const std::string unnamed = replaced(kWholePlan, "    endpoint: tcp://10.0.0.2:7001\n", "");
  EXPECT_EQ(refusal_of_plan(unnamed), "");  // it will listen where the others reach it
  const std::string head = replaced(kWholePlan, "tcp://10.0.0.3:7000", "tcp://localhost:7000");
  EXPECT_EQ(refusal_of_plan(head),
            "");  // its dialler, "beside: me", is started on that same machine
  EXPECT_NE(
      refusal_of_plan(replaced(head, "    start: here\n", "")).find("\"big-desktop\" listens on"),
      std::string::npos);
}

// Where a worker that runs already listens is not where it can be called; one that is started here
// gets an address from us.
TEST(PlanYaml, NobodyIsAskedToDialAllAddressesOfAMachine) {
  for (const std::string any : {"tcp://0.0.0.0:7000", "tcp://[::]:7000", "tcp://*:7000"}) {
    EXPECT_NE(refusal_of_plan(replaced(kWholePlan, "tcp://10.0.0.4:7000", any))
                  .find("plan.yaml:17: \"endpoint\" of \"old-laptop\" is " + any +
                        ", where a worker can listen but nobody can call it; give the address"),
              std::string::npos)
        << any;
    EXPECT_EQ(refusal_of_plan(replaced(kWholePlan, "tcp://10.0.0.2:7001", any)), "") << any;
  }
}

TEST(PlanYaml, ANameThatBeginsLikeLoopbackIsOfAnotherMachine) {
  const std::string named =
      replaced(kWholePlan, "tcp://10.0.0.2:7001", "tcp://127.example.org:7001");
  EXPECT_EQ(refusal_of_plan(replaced(named, "    start: here\n", "")), "");
}

TEST(PlanYaml, ALinkLocalAddressHasAZone) {
  EXPECT_EQ(
      refusal_of_plan(replaced(kWholePlan, "tcp://10.0.0.4:7000", "tcp://[fe80::4%eth0]:7000")),
      "");
}

TEST(ByteSize, UnitsAreReadAsPeopleWriteThem) {
  const std::pair<const char*, uint64_t> cases[] = {{"4096", 4096},
                                                    {"6GiB", 6ull << 30},
                                                    {"6 gib", 6ull << 30},
                                                    {"1.5GB", 1'500'000'000},
                                                    {"500MB", 500'000'000},
                                                    {"1KiB", 1024},
                                                    {"2kb", 2000},
                                                    {"0.5TiB", 1ull << 39},
                                                    {"1TB", 1'000'000'000'000},
                                                    {"7B", 7},
                                                    {"1024TiB", kBytesMax}};
  for (const auto& [text, bytes] : cases) EXPECT_EQ(parse_bytes(text), bytes) << text;
  for (uint64_t bytes : {1ull, 1000ull, 1024ull, 1536ull, 6ull << 30, 123456789ull, 1ull << 50})
    EXPECT_EQ(parse_bytes(exact_bytes_text(bytes)), bytes) << exact_bytes_text(bytes);
}

TEST(ByteSize, AnythingElseIsRefusedByName) {
  for (const char* text : {"", "GiB", "6G", "6 Gi B", "-6GiB", "1e9", "0x10", "1.2.3GB", "1.GB",
                           ".5GB", "nan", "0", "0.1B", "1025TiB", "99999999999999999999",
                           "999999999999999999999999999999", " 6GiB", "6GiB "})
    try {
      ADD_FAILURE() << "\"" << text << "\" was read as " << parse_bytes(text);
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      EXPECT_EQ(fault.text().rfind("\"" + std::string(text) + "\"", 0), 0u) << fault.text();
    }
}

}  // namespace
}  // namespace potluck
