// The flags that describe a ring, for every command that runs one or says what it would need.
#pragma once

#include <functional>
#include <string>

#include "cluster/ring/ring.h"
#include "cluster/ring/ring_plan.h"

namespace CLI {
class App;
}

namespace potluck {

struct RingFlags {
  RingOptions options;
  std::string plan;             // a file; empty: a plan is made from the options
  std::string host, transport;  // empty: host_setup() chooses
  std::string stream, precision;
  bool stages_given = false;
  int threads = 0;
  double step_timeout = 0;
  bool ranges = false;
  bool insecure_plaintext = false;
};

// -c, --device, --gpu-layers, --stages, --split and --plan, which suffice to say what each worker
// would need.
void add_plan_flags(CLI::App* command, RingFlags& flags);
// All flags, in the help's group "Ring".
void add_ring_flags(CLI::App* command, RingFlags& flags);
// Throws Fault{input} for flags that contradict each other.
void check_ring_flags(const RingFlags& flags);
// Throws Fault{input} for flags that say what a cluster file does.
void check_beside_cluster(const RingFlags& flags);

// Chooses what hosts the workers that are started here and what carries messages. Without --host
// and --transport, the workers of one stage are threads linked within this process; of more stages,
// or of a plan file, they are processes linked by ZeroMQ. The program and the model are left open.
HostSetup host_setup(const RingFlags& flags, int stages);

// Whether nothing says what computes, or how the layers are cut.
bool leaves_devices_open(const RingFlags& flags);

// Where the plan that the flags ask for does not fit this machine, one over more machines is made
// from these: all of it but who runs what, and the rooms of the devices that the flags name.
struct OpenPlan {
  Plan frame;
  std::vector<DeviceRoom> rooms;
};
OpenPlan open_plan_of(const ModelSource& source, const RingFlags& flags);

// The plan that the flags ask for: the file's with -c and --chunk put in, or a new one. Where cards
// are named and nothing else says how the layers are cut, the devices' memory does. `say` gets a
// line for what the flags leave to this machine and somebody might not expect.
Plan plan_of(const ModelSource& source, const RingFlags& flags,
             const std::function<void(const std::string& line)>& say);

}  // namespace potluck
