// A sequence of whole sessions: hellos, loads, opens, data, faults and silence, in any order and
// with any values, from any peer, against real workers and a real coordinator (sessions/world.h).
#include "tests/fuzz/sessions/world.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace potluck;
  undisturbed_answer();
  Draws draws(data, size);
  World(draws).run();
  return 0;
}
