// A stand-in for a vendor's driver: no card, but books of all that is asked of one. The libraries
// that the tests build from stub_cuda.cc and stub_hip.cc translate the vendor's calls into these.
// Memory is the host's, and what is enqueued on a stream happens at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "backends/gpu/kernels.h"

namespace potluck {

constexpr int kStubOutOfMemory = 2, kStubGone = 100, kStubNotReady = 600, kStubBroken = 700;

struct StubLaunch {
  gpu::Kernel kernel;
  unsigned grid_x, grid_y, threads;
  std::vector<std::byte> operands;
};

// A test writes the first part, and reads the second. A program under test that cannot write here
// has it from its environment: STUB_CARD="cards=0 architecture=sm_61 taken=11000000000 display=1".
struct StubBooks {
  int cards = 1;
  std::string architecture = "sm_86";
  bool has_display = false;
  size_t bytes_total = size_t{12} << 30, bytes_taken_by_others = 0;
  int failing_call = 0;        // the n-th of all calls fails, from 1
  int failing_allocation = 0;  // the n-th that takes memory finds none, from 1
  int broken = 0;              // the error of every call, unless it is 0
  bool hangs = false;          // nothing that is asked for its end has ended
  // What a launch does; else, where the program has it, what the emulator makes of it.
  std::function<void(const StubLaunch&)> run;

  std::vector<std::string> calls;     // in order, by name
  std::vector<std::string> misuses;   // sentences
  std::map<void*, std::string> live;  // what was taken and not given back
  std::map<void*, size_t> bytes;      // of memory
  int allocations = 0;
  int waits = 0;  // for streams and events, that came to their end
};

// Every stub library exports `extern "C" StubBooks* stub_books()`.
StubBooks& books();

// Forgets everything, settings too.
void clear_books();

namespace stub {

using Work = std::function<void()>;

// Notes the call and says whether it fails now: 0 or an error.
int begin(const char* call);
// The same for the first call of all, which looks for cards, and for one about a card.
int start(const char* call);
int begin_with(const char* call, int card);
// The same for a call that needs a context of this thread.
int begin_on_card(const char* call);
void set_current(void* context);

int card_name(const char* call, const char* of_all, char* name, int room, int card);
int attribute(const char* call, int answer, int* value, int card);

void* take(const char* kind);
// Notes a misuse unless `handle` is live and of this kind.
bool check(void* handle, const char* kind, const char* call);
int give_back(void* handle, const char* kind, const char* call);
// A card's context lives as long as somebody retains it.
void* retain(int card);
int release(const char* call, int card);

int allocate(const char* call, const char* kind, void** memory, size_t bytes);
int free(const char* call, const char* kind, void* memory);
void memory(size_t* free, size_t* total);
// Notes a misuse unless all bytes lie in one piece of live memory of this kind.
void check_range(const char* call, const void* at, size_t bytes, const char* kind);

int make(const char* call, const char* kind, void** handle);
int drop(const char* call, const char* kind, void* handle);

struct Place {
  const void* at;
  const char* kind;
};
int copy(const char* call, Place to, Place from, size_t bytes, void* stream);
int fill(const char* call, void* to, unsigned word, size_t count, void* stream);
int record(const char* call, void* event, void* stream);
int meet(const char* call, void* stream, void* event);
int elapsed(const char* call, float* milliseconds, void* from, void* to);
// Answers kStubNotReady once before it says that all has ended, as a card that works does.
int ask_stream(const char* call, void* stream);
int ask_event(const char* call, void* event);

// Code for a stub is the text "code for " and the architecture.
int load(const char* call, void** module, const void* code);
int find_kernel(const char* call, void** function, void* module, const char* name);
int launch(const char* call, void* function, StubLaunch how, void* stream, void** parameters);

int begin_capture(const char* call, void* stream, int mode);
int end_capture(const char* call, void* stream, void** graph);
int make_run(const char* call, void** run, void* graph);
int run_graph(const char* call, void* run, void* stream);

}  // namespace stub
}  // namespace potluck
