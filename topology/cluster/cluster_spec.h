// ClusterSpec: the machines that somebody has: hosts, their devices, and the links between them. It
// is read from a cluster file (cluster_yaml.h). What doctor measures is written there too, so that
// a planner needs nothing but this and the model, and no machine has to be awake.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "topology/base/dtype.h"

namespace potluck {

// Where a figure comes from.
enum class Source {
  stated,    // somebody has written it into the cluster file
  measured,  // doctor has, on this very device or link
  assumed,   // a table of known cards, or a network's nominal rate
};

// How fast a device computes one canvas of 256 rows by itself, with the model's shapes and types.
struct DeviceSpeed {
  double sliding_layer_ms = 0;  // of the model's typical sliding layer
  double full_layer_ms = 0;     // of its typical full layer
  double head_ms = 0;           // of all that the head does in a step; 0: not known
  double message_ms = 0;        // for each message of a stage beside its layers
  std::string model;            // the digest of the model that was measured; empty: any
  Source source = Source::stated;
};

// When a worker leaves its device to its owner. It drains, and comes back when that has passed.
struct Courtesy {
  bool when_busy = false;  // others use the device
  std::string hours;       // "22:00-08:00", local time, in which potluck may compute; empty: all
  int celsius_max = 0;     // 0: no limit
  int watts_max = 0;       // a limit that the owner has set; speeds are as measured under it
};

struct DeviceSpec {
  std::string name;            // unique in the cluster: "desk", "desk-3060"; by default the host's
                               // name, and behind it the device's where the host has several
  std::string device = "cpu";  // "cpu", "cuda:0", "hip:0"
  std::string card;            // a known card's name ("3090"), for what nobody has measured
  uint64_t memory_bytes = 0;   // that potluck may take; 0: not known yet
  Source memory_source = Source::stated;
  int threads = 0;  // 0: the worker's own choice
  bool may_be_head = true;
  bool may_hold_layers = true;
  bool spare = false;  // takes a part only when another worker is lost
  std::optional<DeviceSpeed> speed;
  bool speed_is_of_another_model = false;  // that was measured, so it is not in `speed`
  Courtesy courtesy;
  int line = 0;  // of the cluster file, for messages
};

struct HostSpec {
  std::string name;
  std::string ssh;                     // what ssh is given: "me@nas", "nas"; empty: this machine
  std::vector<std::string> addresses;  // at which other hosts reach it, the best first
  int port_first = 0, port_last = 0;   // that its workers may listen at; 0: any
  std::string key;                     // the public key of the machine (key.h)
  std::string model;                   // its own copy; empty: the cluster's
  std::string program;                 // its potluck; empty: the one on its PATH
  bool trusted = true;                 // may see the text: be the head
  std::vector<DeviceSpec> devices;
  int line = 0, addresses_line = 0, ports_line = 0, key_line = 0, trusted_line = 0;
};

// One direction between two hosts.
struct LinkSpec {
  std::string from, to;
  double latency_ms = 0;      // one way, of a small message
  double mbit_per_s = 0;      // of messages as large as a canvas
  bool may_be_lossy = false;  // a plan may narrow what crosses it to int8
  Source source = Source::stated;
  int line = 0;
};

struct ClusterOptions {
  int context = 0;       // 0: the plan's default
  int context_line = 0;  // of the cluster file
  int sessions = 1;
  int canvases = 1;                   // in flight at once, that a plan is made for
  std::string objective = "latency";  // or throughput
  Precision precision = Precision::fast;
  std::string transport = "zmq";
  bool insecure_plaintext = false;
};

struct ClusterSpec {
  std::string file;         // for messages
  std::string model;        // as -m names it
  std::string coordinator;  // the host that coordinates; empty: this machine's
  std::string head;         // the device that has to be the head; empty: the planner's choice
  int model_line = 0, coordinator_line = 0, head_line = 0;
  std::vector<HostSpec> hosts;
  std::vector<LinkSpec> links;      // those that are known one by one, each pair once
  std::optional<LinkSpec> network;  // of every other pair of hosts; from and to are empty
  ClusterOptions options;
};

}  // namespace potluck
