// Bad cluster and plan files, by class: each is refused by one whole line with file, line, name,
// value and fix.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/topology/model/temp_folder.h"
#include "tests/topology/model/tiny_model.h"
#include "topology/base/fault.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/plan/plan_yaml.h"

namespace potluck {
namespace {

const std::string kHostKey = "00e1" + std::string(60, '7');

// The good files that each bad one differs from in one place.
const std::string kCluster = R"(version: 1
head: desk
options: {context: 4096, objective: latency}
network: {latency: 0.2ms, bandwidth: 1gbit}
hosts:
  - name: desk
    here: true
    addresses: [10.0.0.3]
    ports: 7000-7010
    devices:
      - {name: desk, device: cuda:0, memory: 11GiB, role: head}
      - {name: cores, device: cpu, role: layers}
  - name: nas
    ssh: me@nas
    trusted: false
    addresses: [10.0.0.4]
    key: )" + kHostKey + R"(
    devices:
      - device: cpu
        memory: 8GiB
        speed: {sliding_layer: 20ms, full_layer: 24ms}
        yield: {hours: "22:00-08:00", temperature: 80}
links:
  - {from: desk, to: nas, latency: 0.3ms, bandwidth: 940mbit, hop: int8}
measured:
  devices:
    - {name: cores, device: cpu, sliding_layer: 20ms, full_layer: 24ms}
  links:
    - {from: nas, to: desk, latency: 0.3ms, bandwidth: 930mbit}
)";

const std::string kPlan = R"(version: 1
stream: bf16
context: 64
head: {name: big, endpoint: "tcp://10.0.0.3:7000", memory: 6GiB}
stages:
  - name: old-laptop
    endpoint: tcp://10.0.0.4:7000
    layers: 0:2
  - name: beside
    start: here
    endpoint: tcp://10.0.0.2:7001
    device: cuda:0
    layers: 2:6
)";

struct Bad {
  const char *kind, *from, *to, *line;
};

const std::vector<Bad> kClusters = {
    {"syntax", "head: desk\n", "head: [desk\n",
     "cluster.yaml:3: this is not YAML: end of sequence flow not found; see that brackets and "
     "quotes are closed, and that items of one list are indented alike"},
    {"syntax", "    here: true\n", "\there: true\n",
     "cluster.yaml:7: this line begins with a tab; indent with spaces"},
    {"syntax", "hosts:", "hosts: &all",
     "cluster.yaml:5: anchors (&) and aliases (*) are not used here; write the value out"},
    {"version", "version: 1", "version: 2",
     "cluster.yaml:1: \"version\" is \"2\"; this potluck reads version 1"},
    {"version", "version: 1\n", "# a cluster\n",
     "cluster.yaml:2: the cluster has no \"version\"; begin the file with \"version: 1\""},
    {"unknown key", "    addresses: [10.0.0.3]", "    adresses: [10.0.0.3]",
     "cluster.yaml:8: unknown key \"adresses\"; did you mean \"addresses\"?"},
    {"unknown key", "memory: 8GiB", "ram: 8GiB",
     "cluster.yaml:20: unknown key \"ram\"; there are name, device, memory, threads, card, speed, "
     "role, power, yield"},
    {"unknown key", "objective:", "goal:",
     "cluster.yaml:3: unknown key \"goal\"; there are context, sessions, canvases, objective, "
     "precision, transport, insecure_plaintext"},
    {"unknown key", "hop: int8}", "dtype: int8}",
     "cluster.yaml:24: unknown key \"dtype\"; there are from, to, latency, bandwidth, hop, both"},
    {"twice", "    here: true\n", "    here: true\n    here: false\n",
     "cluster.yaml:8: \"here\" appears twice, first in line 7; delete one"},
    {"twice", "  - name: nas", "  - name: desk",
     "cluster.yaml:13: host \"desk\" appears twice, first in line 6; give each host a name of its "
     "own"},
    {"twice", "name: cores", "name: desk",
     "cluster.yaml:12: device \"desk\" appears twice, first in line 11; give each device a name of "
     "its own"},
    {"twice", "device: cpu, role", "device: cuda:0, role",
     "cluster.yaml:12: \"desk\" has cuda:0 twice, first in line 11; delete one, or give it its own "
     "number"},
    {"missing", "  - name: nas\n    ssh", "  - ssh",
     "cluster.yaml:13: host 2 has no \"name\"; give it one: name: nas"},
    {"missing", ", full_layer: 24ms}\n        yield", "}\n        yield",
     "cluster.yaml:21: the speed of \"nas\" has no \"full_layer\"; give the time of a layer for "
     "256 tokens: sliding_layer: 2.1ms, full_layer: 2.4ms"},
    {"missing", "from: desk, ", "",
     "cluster.yaml:24: link 1 has no \"from\"; name the host that sends: from: desk"},
    {"missing", "network: {latency: 0.2ms, bandwidth: 1gbit}", "network: {latency: 0.2ms}",
     "cluster.yaml:4: the network has no \"bandwidth\"; give its nominal rate: bandwidth: 1gbit"},
    {"missing", "    ssh: me@nas\n", "",
     "cluster.yaml:13: \"nas\" has no \"ssh\"; say how to reach it (ssh: me@nas), or \"here: "
     "true\" for this machine"},
    {"shape", "links:\n  - {", "links:\n  {",
     "cluster.yaml:24: \"links\" is not a list; begin each link with \"- \""},
    {"shape", "links:\n  - {from: desk, to: nas, latency: 0.3ms, bandwidth: 940mbit, hop: int8}",
     "links: []", "cluster.yaml:23: \"links\" is an empty list; begin each link with \"- \""},
    {"shape", "role: layers", "role: []",
     "cluster.yaml:12: \"role\" is an empty list; put one word in, or delete it"},
    {"shape", "[10.0.0.4]", "[]",
     "cluster.yaml:16: \"addresses\" is an empty list; put one word in, or delete it"},
    {"shape", "name: desk\n    here", "name: [desk]\n    here",
     "cluster.yaml:6: \"name\" is a list; it must be one word"},
    {"shape", "options: {context: 4096, objective: latency}", "options: fast",
     "cluster.yaml:3: \"options\" has no keys; write keys with values, like \"name: old-laptop\""},
    {"number", "context: 4096", "context: 4k",
     "cluster.yaml:3: \"context\" is \"4k\"; it must be a whole number"},
    {"number", "context: 4096", "context: 0",
     "cluster.yaml:3: \"context\" is 0; it must be 1 to 1048576"},
    {"number", "role: layers", "threads: 99999999999999999999",
     "cluster.yaml:12: \"threads\" is \"99999999999999999999\"; it must be 0 to 1024"},
    {"number", "context: 4096", "canvases: 4, sessions: 2",
     "cluster.yaml:3: \"sessions\" is 2, and \"canvases\" is 4: each in flight needs a session; "
     "write sessions: 4, or delete it"},
    {"number", "temperature: 80", "temperature: 800",
     "cluster.yaml:22: \"temperature\" is 800; it must be 30 to 120"},
    {"measure", "latency: 0.3ms, bandwidth: 940mbit", "latency: 0.3, bandwidth: 940mbit",
     "cluster.yaml:24: \"latency\": \"0.3\" is not a time; write a number and a unit: 0.3ms"},
    {"measure", "bandwidth: 940mbit", "bandwidth: 117MB/s",
     "cluster.yaml:24: \"bandwidth\": \"117MB/s\" is not a rate; write a number and a unit: "
     "940mbit or 2.5gbit"},
    {"measure", "sliding_layer: 20ms", "sliding_layer: 0ms",
     "cluster.yaml:21: \"sliding_layer\": \"0ms\" is out of range; it must be above 0 and at most "
     "60m"},
    {"measure", "sliding_layer: 20ms", "sliding_layer: -2ms",
     "cluster.yaml:21: \"sliding_layer\": \"-2ms\" is out of range; it must be above 0 and at most "
     "60m"},
    {"size", "memory: 8GiB", "memory: 8 gigs",
     "cluster.yaml:20: \"memory\": \"8 gigs\" is not a size; write bytes or a unit: 6GiB, 500MB"},
    {"size", "memory: 8GiB", "memory: 8",
     "cluster.yaml:20: \"memory\" of \"nas\" is 8 bytes; write its unit: 11GiB"},
    {"choice", "objective: latency", "objective: latncy",
     "cluster.yaml:3: \"objective\" is \"latncy\"; did you mean \"latency\"?"},
    {"choice", "objective: latency", "objective: pareto",
     "cluster.yaml:3: \"objective\" is \"pareto\"; there are latency, throughput"},
    {"choice", "role: layers", "role: worker",
     "cluster.yaml:12: \"role\" is \"worker\"; it can be head, layers, no-head (layers alone), "
     "spare, or a list of them"},
    {"choice", "hop: int8}", "hop: int4}",
     "cluster.yaml:24: \"hop\" is \"int4\"; did you mean \"int8\"?"},
    {"choice", "context: 4096", "transport: tcp",
     "cluster.yaml:3: \"transport\" is \"tcp\"; there are zmq, inproc"},
    {"name", "  - name: nas", "  - name: \"my nas\"",
     "cluster.yaml:13: \"name\" is \"my nas\"; use letters, digits, \"-\", \"_\" and \".\", a "
     "letter or digit first"},
    {"name", "name: cores", "name: -cores",
     "cluster.yaml:12: \"name\" is \"-cores\"; use letters, digits, \"-\", \"_\" and \".\", a "
     "letter or digit first"},
    {"name", "name: cores", "name: \"co\u009bres\"",
     "cluster.yaml:12: \"name\" is \"co?res\", with a letter that cannot be seen; write it "
     "without"},
    {"name", "name: cores", "name: co\u200bres",
     "cluster.yaml:12: \"name\" is \"co?res\", with a letter that cannot be seen; write it "
     "without"},
    {"name", "  - name: nas", "  - name: \u202enas",
     "cluster.yaml:13: \"name\" is \"?nas\", with a letter that cannot be seen; write it without"},
    {"name", "  - name: nas", "  - name: coordinator",
     "cluster.yaml:13: \"name\" is \"coordinator\", as the coordinator calls itself in logs; give "
     "it another name"},
    {"reference", "head: desk\n", "head: dsk\n",
     "cluster.yaml:2: \"head\" is \"dsk\", which is no device; did you mean \"desk\"?"},
    {"reference", "head: desk\n", "coordinator: nsa\n",
     "cluster.yaml:2: \"coordinator\" is \"nsa\", which is no host; there are desk, nas"},
    {"reference", "to: nas, latency", "to: nass, latency",
     "cluster.yaml:24: a link names \"nass\", which is no host; did you mean \"nas\"?"},
    {"reference", "to: nas, latency", "to: desk, latency",
     "cluster.yaml:24: a link goes from \"desk\" to itself; links are between hosts; delete it"},
    {"place", "    ssh: me@nas\n", "    here: true\n",
     "cluster.yaml:13: \"desk\" (line 6) and \"nas\" are both \"here: true\"; one host is this "
     "machine; give the other \"ssh: USER@HOST\""},
    {"place", "    ssh: me@nas\n", "    ssh: me@nas\n    here: true\n",
     "cluster.yaml:14: \"nas\" has \"here: true\" and \"ssh: me@nas\"; delete one: this machine "
     "needs no ssh"},
    {"place", "    here: true\n", "    ssh: desk\n",
     "cluster.yaml:6: no host is this machine; give one \"here: true\", or name the host that "
     "coordinates: \"coordinator: desk\""},
    {"place", "ssh: me@nas", "ssh: -oProxyCommand=sh",
     "cluster.yaml:14: \"ssh\" is \"-oProxyCommand=sh\", which would be taken for a flag; it must "
     "not begin with \"-\""},
    {"key", "00e1777777777777777777777777777777777777777777777777777777777777",
     "00e177777777777777777777777777777777777777777777777777777777777",
     "cluster.yaml:17: \"key\" is "
     "\"00e177777777777777777777777777777777777777777777777777777777777\"; it must be the 64 "
     "digits that \"potluck key\" shows on the worker's machine"},
    {"key", "00e1777777777777777777777777777777777777777777777777777777777777",
     "00E1777777777777777777777777777777777777777777777777777777777777",
     "cluster.yaml:17: \"key\" is "
     "\"00E1777777777777777777777777777777777777777777777777777777777777\"; it must be the 64 "
     "digits that \"potluck key\" shows on the worker's machine"},
    {"key", "00e1777777777777777777777777777777777777777777777777777777777777",
     "0000000000000000000000000000000000000000000000000000000000000000",
     "cluster.yaml:17: \"key\" is "
     "\"0000000000000000000000000000000000000000000000000000000000000000\"; it must be the 64 "
     "digits that \"potluck key\" shows on the worker's machine"},
    {"ports", "7000-7010", "7000",
     "cluster.yaml:9: \"desk\" has 1 port for 3 workers; give it more: ports: 7000-7002"},
    {"ports", "7000-7010", "7010-7000",
     "cluster.yaml:9: \"ports\" is \"7010-7000\"; it must be a range within 1-65535, like "
     "7000-7010"},
    {"ports", "7000-7010", "-7010",
     "cluster.yaml:9: \"ports\" is \"-7010\"; it must be a range within 1-65535, like 7000-7010"},
    {"ports", "7000-7010", "7000-",
     "cluster.yaml:9: \"ports\" is \"7000-\"; it must be a range within 1-65535, like 7000-7010"},
    {"ports", "7000-7010", "7000 - 7010",
     "cluster.yaml:9: \"ports\" is \"7000 - 7010\"; it must be a range within 1-65535, like "
     "7000-7010"},
    {"ports", "7000-7010", "7000-7010-7020",
     "cluster.yaml:9: \"ports\" is \"7000-7010-7020\"; it must be a range within 1-65535, like "
     "7000-7010"},
    {"ports", "7000-7010", "70000-70010",
     "cluster.yaml:9: \"ports\" is \"70000-70010\"; it must be a range within 1-65535, like "
     "7000-7010"},
    {"address", "[10.0.0.4]", "[127.0.0.1]",
     "cluster.yaml:16: \"addresses\" of \"nas\" has \"127.0.0.1\", which other machines cannot "
     "reach; give its address on the network that they share"},
    {"address", "[10.0.0.4]", "[10.0.0.3]",
     "cluster.yaml:16: \"nas\" has address 10.0.0.3, which \"desk\" (line 6) has too; give each "
     "host its own"},
    {"address", "[10.0.0.4]", "[\"10.0.0.4:7000\"]",
     "cluster.yaml:16: \"addresses\" of \"nas\" has \"10.0.0.4:7000\"; it must be a name or an "
     "address without a port: nas.lan, 10.0.0.3, [fd00::3]"},
    {"address", "[10.0.0.4]", "[0.0.0.0]",
     "cluster.yaml:16: \"addresses\" of \"nas\" has \"0.0.0.0\", where nobody can be called; give "
     "the address at which the others reach it"},
    {"address", "[10.0.0.4]", "[300.1.1.1]",
     "cluster.yaml:16: \"addresses\" of \"nas\" has \"300.1.1.1\", which is no name and no address "
     "of a machine; write it like nas.lan, 10.0.0.3 or [fd00::3]"},
    {"address", "[10.0.0.4]", "[224.0.0.1]",
     "cluster.yaml:16: \"addresses\" of \"nas\" has \"224.0.0.1\", which is no name and no address "
     "of a machine; write it like nas.lan, 10.0.0.3 or [fd00::3]"},
    {"trust", "head: desk\n", "coordinator: nas\n",
     "cluster.yaml:15: \"nas\" is \"trusted: false\", and it is the coordinator; the coordinator "
     "reads every prompt and answer: trust it, or name another host: \"coordinator: HOST\""},
    {"trust", "role: head}\n      - {name: cores, device: cpu, role: layers}\n",
     "role: layers}\n    trusted: false\n",
     "cluster.yaml:12: \"desk\" is \"trusted: false\", and it is the coordinator; the coordinator "
     "reads every prompt and answer: trust it, or name another host: \"coordinator: HOST\""},
    {"trust", "    here: true\n", "    here: true\n    trusted: false\n",
     "cluster.yaml:12: \"role\" of \"desk\" is head, and its host is \"trusted: false\"; a head "
     "sees the text: give it \"role: layers\", or trust its host"},
    {"trust", "head: desk\n", "head: nas\n",
     "cluster.yaml:2: \"head\" is \"nas\", whose host is \"trusted: false\"; a head sees the text: "
     "name another device, or trust its host"},
    {"trust", "role: head", "role: [head, no-head]",
     "cluster.yaml:11: \"role\" of \"desk\" is both head and no-head; delete one"},
    {"trust", "head: desk\n", "head: cores\n",
     "cluster.yaml:2: \"head\" is \"cores\", whose role does not allow it; give it \"role: head\", "
     "or name another device"},
    {"trust", "role: head}", "role: layers}",
     "cluster.yaml:6: no device may be the head; give a device of a trusted host \"role: head\""},
    {"device", "memory: 11GiB", "card: -3090",
     "cluster.yaml:11: \"card\" is \"-3090\"; did you mean \"3090\"?"},
    {"device", "device: cuda:0", "device: gpu0",
     "cluster.yaml:11: \"device\" is \"gpu0\"; it can be cpu, cuda:N or hip:N"},
    {"device", "device: cpu, role", "device: cuda, role",
     "cluster.yaml:12: \"device\" is \"cuda\"; it can be cpu, cuda:N or hip:N"},
    {"hours", "22:00-08:00", "22-8",
     "cluster.yaml:22: \"hours\" is \"22-8\"; write from when to when potluck may compute, in "
     "quotes: \"22:00-08:00\""},
    {"hours", "22:00-08:00", "22:00-22:00",
     "cluster.yaml:22: \"hours\" is \"22:00-22:00\", which ends as it begins; give two times, or "
     "delete it where potluck may always compute"},
    {"hours", "22:00-08:00", "22:00-24:30",
     "cluster.yaml:22: \"hours\" is \"22:00-24:30\"; write from when to when potluck may compute, "
     "in quotes: \"22:00-08:00\""},
    {"links", "measured:\n", "  - {from: desk, to: nas, bandwidth: 1gbit}\nmeasured:\n",
     "cluster.yaml:25: the link from \"desk\" to \"nas\" appears twice, first in line 24; delete "
     "one, or write \"both: false\""},
    {"links", "hop: int8}\n", "both: true}\n  - {from: nas, to: desk, bandwidth: 1gbit}\n",
     "cluster.yaml:24: the link from \"nas\" to \"desk\" appears twice, first in line 25; delete "
     "one, or write \"both: false\""},
    {"transport", "context: 4096", "transport: inproc",
     "cluster.yaml:13: \"transport\" is inproc, and \"nas\" is another machine; only one process "
     "has inproc; write transport: zmq"},
    {"measured", "20ms, full_layer: 24ms}\n  links", "20ms}\n  links",
     "cluster.yaml:27: a measured device has the time of one kind of layer alone; let \"potluck "
     "doctor --write\" write it again"},
    {"measured", "  links:\n    - {from: nas",
     "    - {name: cores, device: cpu, memory: 8GiB}\n  links:\n    - {from: nas",
     "cluster.yaml:28: a measured device appears twice, first in line 27: \"cores\", \"cpu\"; "
     "delete "
     "one, or let \"potluck doctor --write\" write it again"},
    {"measured", "{from: nas, to: desk, latency: 0.3ms", "{from: nas, to: nas, latency: 0.3ms",
     "cluster.yaml:29: a measured link goes from \"nas\" to itself; delete it: links are between "
     "hosts"},
    {"measured", "bandwidth: 930mbit", "mtu: 1500",
     "cluster.yaml:29: unknown key \"mtu\"; there are from, to, latency, bandwidth"},
};

const std::vector<Bad> kPlans = {
    {"syntax", "head: {", "head: {{", "plan.yaml:4: a key is missing before \":\"; write one"},
    {"version", "version: 1", "version: one",
     "plan.yaml:1: \"version\" is \"one\"; this potluck reads version 1"},
    {"unknown key", "layers: 0:2", "layer: 0:2",
     "plan.yaml:8: unknown key \"layer\"; did you mean \"layers\"?"},
    {"missing", "    endpoint: tcp://10.0.0.4:7000\n", "",
     "plan.yaml:6: \"old-laptop\" has no \"endpoint\"; give where it listens "
     "(tcp://10.0.0.4:7000), or \"start: here\" to start it on this machine"},
    {"missing", "    layers: 2:6\n", "",
     "plan.yaml:9: stage 2 has no \"layers\"; give its half-open range, like \"layers: 0:10\""},
    {"missing", "  - name: old-laptop\n    endpoint: tcp://10.0.0.4:7000\n    layers: 0:2\n",
     "  - old-laptop\n",
     "plan.yaml:6: stage 1 has no keys; write keys with values, like \"name: old-laptop\""},
    {"number", "context: 64", "context: 64.5",
     "plan.yaml:3: \"context\" is \"64.5\"; it must be a whole number"},
    {"number", "context: 64", "context: 0",
     "plan.yaml:3: \"context\" is 0; it must be 1 to 1048576"},
    {"number", "context: 64", "chunk: 2147483648",
     "plan.yaml:3: \"chunk\" is \"2147483648\"; it must be 1 to 1048576"},
    {"number", "context: 64", "sessions: 99999999999999999999",
     "plan.yaml:3: \"sessions\" is \"99999999999999999999\"; it must be 1 to 1024"},
    {"name", "name: beside", "name: \"be\u009bside\"",
     "plan.yaml:9: \"name\" is \"be?side\", with a letter that cannot be seen; write it without"},
    {"name", "name: big,", "name: coordinator,",
     "plan.yaml:4: \"name\" is \"coordinator\", as the coordinator calls itself in logs; give it "
     "another name"},
    {"key", "    layers: 0:2\n",
     "    layers: 0:2\n    key: 0000000000000000000000000000000000000000000000000000000000000000\n",
     "plan.yaml:9: \"key\" is "
     "\"0000000000000000000000000000000000000000000000000000000000000000\"; "
     "it must be the 64 digits that \"potluck key\" shows on the worker's machine"},
    {"key", "    start: here\n",
     "    start: here\n"
     "    key: 00e1777777777777777777777777777777777777777777777777777777777777\n",
     "plan.yaml:11: \"beside\" has \"start: here\" and a \"key\"; delete one: a worker of this "
     "machine has this machine's key"},
    {"size", "memory: 6GiB", "memory: 6G",
     "plan.yaml:4: \"memory\": \"6G\" is not a size; write bytes or a unit: 6GiB, 500MB"},
    {"choice", "stream: bf16", "stream: int8",
     "plan.yaml:2: \"stream\" is \"int8\"; it can be one of bf16, f32"},
    {"place", "start: here", "start: there",
     "plan.yaml:10: \"start\" is \"there\"; it can only be here (leave it out for a worker that "
     "runs already)"},
    {"address", "tcp://10.0.0.4:7000", "10.0.0.4:7000",
     "plan.yaml:7: \"endpoint\" is \"10.0.0.4:7000\"; it must be tcp://HOST:PORT or ipc:///PATH"},
    {"address", "tcp://10.0.0.2:7001", "tcp://127.0.0.1:7001",
     "plan.yaml:11: \"beside\" listens on tcp://127.0.0.1:7001, which \"old-laptop\" "
     "(tcp://10.0.0.4:7000) cannot dial from another machine; give it endpoint: "
     "tcp://ADDRESS-OF-ITS-MACHINE:PORT"},
    {"address", "tcp://10.0.0.4:7000", "tcp://300.1.1.1:7000",
     "plan.yaml:7: \"endpoint\" of \"old-laptop\" is tcp://300.1.1.1:7000, whose host is no name "
     "and "
     "no address of a machine; write it like tcp://nas.lan:7000, tcp://10.0.0.4:7000 or "
     "tcp://[fd00::4]:7000"},
    {"address", "tcp://10.0.0.4:7000", "tcp://10.0.0.4:07000",
     "plan.yaml:7: \"endpoint\" is \"tcp://10.0.0.4:07000\"; it must be tcp://HOST:PORT or "
     "ipc:///PATH"},
    {"layers", "layers: 0:2", "layers: \":\"",
     "plan.yaml:8: \"layers\" is \":\"; it must be a half-open range like 0:10"},
    {"layers", "layers: 0:2", "layers: 0:2:6",
     "plan.yaml:8: \"layers\" is \"0:2:6\"; it must be a half-open range like 0:10"},
    {"layers", "layers: 2:6", "layers: 6:2",
     "plan.yaml:9: stage \"beside\" has layers 6:2, which is no range; a range goes up, from its "
     "first layer to the one after its last: 0:10"},
    {"layers", "layers: 2:6", "layers: 2:2",
     "plan.yaml:9: stage \"beside\" has layers 2:2, which is no range; a range goes up, from its "
     "first layer to the one after its last: 0:10"},
    {"layers", "layers: 2:6", "layers: 6:8",
     "plan.yaml:9: stage \"beside\" has layers 6:8, and the model has layers 0:6; leave the stage "
     "out, or give it layers of those"},
    {"layers", "layers: 0:2", "layers: 0-2",
     "plan.yaml:8: \"layers\" is \"0-2\"; it must be a half-open range like 0:10"},
    {"layers", "layers: 2:6", "layers: 3:6",
     "plan.yaml:9: stage \"beside\" has layers 3:6, so nobody runs 2:3; let it begin at 2"},
    {"layers", "layers: 2:6", "layers: 2:7",
     "plan.yaml:9: stage \"beside\" has layers 2:7, and the model has layers 0:6; let it end at "
     "6"},
    {"twice", "name: beside", "name: old-laptop",
     "plan.yaml:9: the worker name \"old-laptop\" appears twice, first in line 6; give each worker "
     "a name of its own"},
    {"twice", "tcp://10.0.0.2:7001", "tcp://10.0.0.4:7000",
     "plan.yaml:9: worker \"beside\" has endpoint tcp://10.0.0.4:7000, which \"old-laptop\" (line "
     "6) "
     "has too; give each worker an endpoint of its own"},
    {"device", "device: cuda:0", "device: cuda",
     "plan.yaml:9: worker \"beside\" has device \"cuda\"; it can be cpu, cuda:N or hip:N"},
    {"transport", "    layers: 0:2", "    transport: nccl\n    layers: 0:2",
     "plan.yaml:6: worker \"old-laptop\" has transport nccl, from cpu to cuda:0 of \"beside\"; "
     "NCCL links cards of one vendor; leave its transport out"},
};

std::string replaced_in(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

template <typename Read>
std::string refusal_of_file(Read read) {
  try {
    read();
  } catch (const Fault& fault) {
    EXPECT_EQ(exit_code(fault.kind()), 2);
    return fault.what();
  }
  return "";
}

std::string cluster_refusal(const std::string& text) {
  return refusal_of_file([&] { parse_cluster(text, "cluster.yaml"); });
}

std::string plan_refusal(const std::string& text) {
  const TempFolder folder;
  const std::string path = folder.write("plan.yaml", text);
  ModelSpec spec = tiny_spec();
  spec.layers.resize(6, spec.layers.front());
  const std::string line = refusal_of_file([&] { read_plan(path, spec); });
  return line.empty() ? line : replaced_in(line, path, "plan.yaml");
}

TEST(BadFiles, TheGoodOnesAreRead) {
  EXPECT_EQ(cluster_refusal(kCluster), "");
  EXPECT_EQ(plan_refusal(kPlan), "");
}

TEST(BadFiles, EachClusterIsRefusedByOneClearLine) {
  for (const Bad& bad : kClusters)
    EXPECT_EQ(cluster_refusal(replaced_in(kCluster, bad.from, bad.to)), bad.line) << bad.to;
}

TEST(BadFiles, EachPlanIsRefusedByOneClearLine) {
  for (const Bad& bad : kPlans)
    EXPECT_EQ(plan_refusal(replaced_in(kPlan, bad.from, bad.to)), bad.line) << bad.to;
}

TEST(BadFiles, ThereAreSixtyAndTwoOfEachClass) {
  std::map<std::string, int> kinds;
  for (const Bad& bad : kClusters) ++kinds[bad.kind];
  for (const Bad& bad : kPlans) ++kinds[bad.kind];
  int count = 0;
  for (const auto& [kind, files] : kinds) {
    EXPECT_GE(files, 2) << kind;
    count += files;
  }
  EXPECT_GE(count, 60);
}

}  // namespace
}  // namespace potluck
