// A plan as people write it:
//
//   version: 1
//   stream: bf16                      # or f32
//   kv: f16                           # or bf16, f32
//   precision: fast                   # or exact: products as in the reference, slower
//   context: 8192
//   sessions: 1
//   chunk: 256
//   slots: 4
//   head:
//     name: big-desktop
//     endpoint: tcp://10.0.0.3:7000
//     key: 53a1…c09f                  # what `potluck key` shows there, 64 digits
//     device: cpu                     # cpu, cuda:0, hip:0
//     threads: 4
//     memory: 6GiB                    # also GB, MiB, MB, bytes
//     hop: int8                       # the stream's dtype (default), or int8 in blocks (lossy)
//     transport: nccl                 # to the next worker's card, of the same vendor, by NCCL
//   stages:
//     - name: old-laptop
//       endpoint: tcp://10.0.0.4:7000
//       layers: "0:10"                # half-open; quotes are for other readers of YAML
//     - name: beside-me
//       start: here                   # the coordinator starts this worker itself, on its machine
//       endpoint: tcp://10.0.0.2:7001
//       role: no-head                 # never the head, which sees the text, when that is lost
//       layers: "10:30"
//
// A worker on another machine has the key of its machine, which locks the links with it.
//
// version, head, stages and each stage's layers must be there; everything else has Plan's default,
// and names default to "head" and "stage K". Each worker is dialed by the one before it in the ring
// (head, stages, head again), so a loopback listener behind a worker on another machine is refused.
// A worker that is not started here needs an endpoint, which the coordinator and the worker before
// reach: a name (all of whose addresses are tried), 10.0.0.4, [fd00::4], or [fe80::4%eth0] with the
// zone that it has on this machine. One that is started here listens without an endpoint on a free
// port of the address at which the worker before reaches this machine, and with tcp://*:7001 there
// on port 7001. "transport" is of the rows that a worker sends to that next one; without it they go
// as all other messages do.
#pragma once

#include <string>

#include "topology/plan/plan.h"

namespace potluck {

// A plan for a model, with its default context, and validated. Throws Fault{input}, where =
// "FILE:LINE".
Plan read_plan(const std::string& path, const ModelSpec& spec);
// The plan as written; its context is 0 where none is given.
Plan parse_plan(const std::string& text, const std::string& file);

// parse_plan reads it back as the same plan, but for the epoch, which a file does not have.
std::string plan_yaml(const Plan& plan);

}  // namespace potluck
