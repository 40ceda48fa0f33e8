// A cluster as people write it:
//
//   version: 1
//   model: hf:OWNER/REPO:Q4_K_M       # as -m names it
//   coordinator: desk                 # a host; without it the one that is "here"
//   head: desk                        # a device; without it the planner's choice
//   options:
//     context: 8192                   # tokens a session may hold
//     sessions: 1
//     canvases: 1                     # in flight at once
//     objective: latency              # or throughput
//     precision: fast                 # or exact
//     transport: zmq                  # or inproc, on one host
//     insecure_plaintext: false       # links without a lock
//   network: {latency: 0.2ms, bandwidth: 1gbit, hop: bf16}   # of every pair that is not in links
//   hosts:
//     - name: desk
//       here: true                    # this machine; the others have ssh:
//       addresses: [10.0.0.3]         # at which the others reach it, the best first
//       ports: 7000-7010              # that its workers may listen at
//       key: 53a1…c09f                # what `potluck key` shows there, 64 digits
//       model: /models/q4.gguf        # its own copy, if it lies elsewhere
//       program: /opt/potluck         # if it is not on the PATH
//       devices:                      # without them its CPU; a word is a device: [cuda:0, cpu]
//         - name: big-card            # without it desk, or desk-cuda0 where there are several
//           device: cuda:0            # cpu, cuda:0, hip:0
//           memory: 11GiB             # that potluck may take
//           threads: 8
//           card: 3090                # a known card: speed and memory are assumed where not given
//           speed: {sliding_layer: 2.1ms, full_layer: 2.4ms, head: 9ms, message: 0.1ms}
//           role: [head, layers]      # also no-head (layers alone) and spare
//           power: 250W               # a limit that its owner has set
//           yield: {when_busy: true, hours: "22:00-08:00", temperature: 80}
//     - name: nas
//       ssh: me@nas                   # as ssh takes it
//       trusted: false                # never sees text, so never is the head
//   links:                            # both directions, unless both: false or the other is there
//     - {from: desk, to: nas, latency: 0.3ms, bandwidth: 940mbit, hop: int8}
//   measured: …                       # by `potluck doctor --write` (cluster_measured.h)
//
// version, hosts and their names must be there. A figure that somebody has stated wins over one
// that is measured, and that over the network's. "hop: int8" allows a plan to halve what crosses a
// link, which changes the answer; "hop: bf16" does not.
#pragma once

#include <cstdint>
#include <string>

#include "topology/cluster/cluster_spec.h"

namespace potluck {

// The latency that is assumed where only a bandwidth is known: a switch's and two network stacks'.
inline constexpr double kLatencyAssumedMs = 0.3;

inline constexpr uint64_t kClusterBytesMax = 8 << 20;  // the links of 200 hosts are 3 MB

// Both throw Fault{input}, where = "FILE:LINE".
ClusterSpec read_cluster(const std::string& path);
ClusterSpec parse_cluster(const std::string& text, const std::string& file);

}  // namespace potluck
