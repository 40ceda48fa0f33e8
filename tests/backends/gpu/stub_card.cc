// The books of a stub driver: each call checks what it was given, and notes what is wrong.
#include "tests/backends/gpu/stub_card.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <sstream>

namespace potluck {
namespace {

constexpr int kInvalid = 1, kInvalidCard = 101, kNoCode = 209, kNotFound = 500, kNotCapturing = 401;

// Handles are addresses that no memory has.
constexpr uintptr_t kFirstHandle = 0x1000, kHandleStep = 0x10;

#ifdef STUB_CUDA
constexpr bool kIsCuda = true;
#else
constexpr bool kIsCuda = false;
#endif

StubBooks books_of_environment() {
  StubBooks books;
  const char* settings = std::getenv("STUB_CARD");
  std::istringstream words(settings ? settings : "");
  for (std::string word; words >> word;) {
    const std::string name = word.substr(0, word.find('=')), value = word.substr(name.size() + 1);
    if (name == "cards") books.cards = std::stoi(value);
    if (name == "architecture") books.architecture = value;
    if (name == "taken") books.bytes_taken_by_others = std::stoull(value);
    if (name == "display") books.has_display = value == "1";
    if (name == "hangs") books.hangs = value == "1";
  }
  return books;
}

struct State {
  StubBooks books = books_of_environment();
  uintptr_t next_handle = kFirstHandle;
  std::map<void*, std::vector<stub::Work>> capturing, graphs, runs;
  std::map<void*, gpu::Kernel> functions;
  std::set<void*> recorded;
  struct Context {
    void* handle = nullptr;
    int retained = 0;
  };
  std::map<int, Context> contexts;  // of cards
  bool said_not_ready = false;
};

State& state() {
  static State all;
  return all;
}

// Workers of one process may each have a thread; a launch runs within its call.
using Lock = std::lock_guard<std::recursive_mutex>;
std::recursive_mutex all_books;

thread_local void* current = nullptr;

void misuse(const std::string& call, const std::string& what) {
  books().misuses.push_back(call + ": " + what);
}

bool is_memory(const std::string& kind) {
  return kind == "memory" || kind == "host memory";
}

void forget(void* handle) {
  State& s = state();
  if (is_memory(s.books.live[handle])) std::free(handle);
  s.books.live.erase(handle);
  s.books.bytes.erase(handle);
  for (auto* works : {&s.capturing, &s.graphs, &s.runs}) works->erase(handle);
  s.recorded.erase(handle);
}

// Enqueues: at once, or into the graph that the stream captures.
int enqueue(void* stream, const stub::Work& work) {
  const auto capture = state().capturing.find(stream);
  if (capture != state().capturing.end())
    capture->second.push_back(work);
  else
    work();
  return 0;
}

// The emulator of the program that opened this library (stub_program.cc).
void run_emulated(const StubLaunch& launch) {
  using Run = void(bool cuda, int kernel, int grid_x, int grid_y, const void* operands);
  if (auto* run = reinterpret_cast<Run*>(dlsym(RTLD_DEFAULT, "run_stub_launch")))
    run(kIsCuda, static_cast<int>(launch.kernel), launch.grid_x, launch.grid_y,
        launch.operands.data());
}

bool is_card(int card) {
  return card >= 0 && card < books().cards;
}

// One "not ready" comes before the end.
int ask() {
  State& s = state();
  s.said_not_ready = s.books.hangs || !s.said_not_ready;
  if (s.said_not_ready) return kStubNotReady;
  ++s.books.waits;
  return 0;
}

}  // namespace

StubBooks& books() {
  return state().books;
}

void clear_books() {
  while (!books().live.empty()) forget(books().live.begin()->first);
  state() = State{};
  current = nullptr;
}

namespace stub {

int begin(const char* call) {
  const Lock lock(all_books);
  StubBooks& b = books();
  b.calls.push_back(call);
  if (b.broken) return b.broken;
  return static_cast<int>(b.calls.size()) == b.failing_call ? kStubBroken : 0;
}

int start(const char* call) {
  const Lock lock(all_books);
  const int error = begin(call);
  return error ? error : books().cards > 0 ? 0 : kStubGone;
}

int begin_with(const char* call, int card) {
  const Lock lock(all_books);
  const int error = begin(call);
  return error ? error : is_card(card) ? 0 : kInvalidCard;
}

int begin_on_card(const char* call) {
  const Lock lock(all_books);
  if (!current) misuse(call, "this thread has no context");
  return begin(call);
}

void set_current(void* context) {
  current = context;
}

int card_name(const char* call, const char* of_all, char* name, int room, int card) {
  const Lock lock(all_books);
  const int error = begin_with(call, card);
  if (!error) std::strncpy(name, of_all, room);
  return error;
}

int attribute(const char* call, int answer, int* value, int card) {
  const Lock lock(all_books);
  const int error = begin_with(call, card);
  if (!error) *value = answer;
  return error;
}

void* take(const char* kind) {
  const Lock lock(all_books);
  void* handle = reinterpret_cast<void*>(state().next_handle);
  state().next_handle += kHandleStep;
  books().live[handle] = kind;
  return handle;
}

bool check(void* handle, const char* kind, const char* call) {
  const Lock lock(all_books);
  const auto found = books().live.find(handle);
  if (found != books().live.end() && found->second == kind) return true;
  misuse(call, std::string("this is no live ") + kind);
  return false;
}

int give_back(void* handle, const char* kind, const char* call) {
  const Lock lock(all_books);
  if (!check(handle, kind, call)) return kInvalid;
  forget(handle);
  return 0;
}

void* retain(int card) {
  const Lock lock(all_books);
  auto& [handle, retained] = state().contexts[card];
  if (retained++ == 0) handle = take("context");
  return handle;
}

int release(const char* call, int card) {
  const Lock lock(all_books);
  auto& [handle, retained] = state().contexts[card];
  if (retained == 0) misuse(call, "nobody has retained the context");
  if (--retained > 0) return begin(call);
  if (current == handle) current = nullptr;
  return free(call, "context", handle);
}

void memory(size_t* free, size_t* total) {
  const Lock lock(all_books);
  size_t taken = books().bytes_taken_by_others;
  for (const auto& [at, bytes] : books().bytes)
    if (books().live.at(at) == "memory") taken += bytes;
  *total = books().bytes_total;
  *free = taken < *total ? *total - taken : 0;
}

int allocate(const char* call, const char* kind, void** memory, size_t bytes) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!state().capturing.empty()) misuse(call, "allocates while a stream captures");
  size_t free = 0, total = 0;
  stub::memory(&free, &total);
  const bool fails = ++books().allocations == books().failing_allocation;
  if (fails || bytes > free) return kStubOutOfMemory;
  if (bytes == 0) return kInvalid;
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*memory, 0xA5, bytes);  // a card's memory is not zero
  books().live[*memory] = kind;
  books().bytes[*memory] = bytes;
  return 0;
}

// A call that frees returns the error of something before it, and the thing is gone.
int free(const char* call, const char* kind, void* memory) {
  const Lock lock(all_books);
  const int error = begin(call);
  const int wrong = give_back(memory, kind, call);
  return error ? error : wrong;
}

int make(const char* call, const char* kind, void** handle) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  *handle = take(kind);
  return 0;
}

int drop(const char* call, const char* kind, void* handle) {
  const Lock lock(all_books);
  if (state().capturing.count(handle)) misuse(call, "the stream captures");
  return free(call, kind, handle);
}

void check_range(const char* call, const void* at, size_t bytes, const char* kind) {
  const Lock lock(all_books);
  const auto* first = static_cast<const std::byte*>(at);
  for (const auto& [memory, size] : books().bytes) {
    const auto* begin = static_cast<const std::byte*>(memory);
    const bool inside = first >= begin && first + bytes <= begin + size;
    if (inside && books().live.at(memory) == kind) return;
  }
  misuse(call, std::string("these bytes are not in one piece of live ") + kind);
}

int copy(const char* call, Place to, Place from, size_t bytes, void* stream) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(stream, "stream", call)) return kInvalid;
  return enqueue(stream, [=] {
    check_range(call, to.at, bytes, to.kind);
    check_range(call, from.at, bytes, from.kind);
    std::memmove(const_cast<void*>(to.at), from.at, bytes);
  });
}

int fill(const char* call, void* to, unsigned word, size_t count, void* stream) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(stream, "stream", call)) return kInvalid;
  return enqueue(stream, [=] {
    check_range(call, to, count * sizeof(word), "memory");
    std::fill_n(static_cast<unsigned*>(to), count, word);
  });
}

int record(const char* call, void* event, void* stream) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(event, "event", call) || !check(stream, "stream", call)) return kInvalid;
  return enqueue(stream, [=] { state().recorded.insert(event); });
}

int meet(const char* call, void* stream, void* event) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(event, "event", call) || !check(stream, "stream", call)) return kInvalid;
  if (!state().recorded.count(event)) misuse(call, "the event was never recorded");
  return 0;
}

int elapsed(const char* call, float* milliseconds, void* from, void* to) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(from, "event", call) || !check(to, "event", call)) return kInvalid;
  if (!state().recorded.count(from) || !state().recorded.count(to)) return kStubNotReady;
  *milliseconds = 1.5f;
  return 0;
}

int ask_stream(const char* call, void* stream) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(stream, "stream", call)) return kInvalid;
  if (state().capturing.count(stream)) misuse(call, "the stream captures");
  return ask();
}

int ask_event(const char* call, void* event) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(event, "event", call)) return kInvalid;
  if (!state().recorded.count(event)) misuse(call, "the event was never recorded");
  return ask();
}

int load(const char* call, void** module, const void* code) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if ("code for " + books().architecture != static_cast<const char*>(code)) return kNoCode;
  *module = take("module");
  return 0;
}

int find_kernel(const char* call, void** function, void* module, const char* name) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(module, "module", call)) return kInvalid;
  for (size_t i = 0; i < std::size(gpu::kKernels); ++i) {
    if (std::strcmp(gpu::kKernels[i].name, name) != 0) continue;
    *function = reinterpret_cast<void*>(state().next_handle);
    state().next_handle += kHandleStep;
    state().functions[*function] = static_cast<gpu::Kernel>(i);
    return 0;
  }
  return kNotFound;
}

int launch(const char* call, void* function, StubLaunch how, void* stream, void** parameters) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  const auto found = state().functions.find(function);
  if (found == state().functions.end() || !check(stream, "stream", call)) return kInvalid;
  const gpu::KernelFacts& facts = gpu::kKernels[static_cast<size_t>(found->second)];
  const auto* operands = static_cast<const std::byte*>(parameters[0]);
  how.kernel = found->second;
  how.operands.assign(operands, operands + facts.operand_bytes);
  if (static_cast<int>(how.threads) != facts.threads) misuse(call, "a block has other threads");
  return enqueue(stream, [how] { books().run ? books().run(how) : run_emulated(how); });
}

int begin_capture(const char* call, void* stream, int mode) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(stream, "stream", call)) return kInvalid;
  if (mode != 1) misuse(call, "captures more than this thread");
  if (!state().capturing.emplace(stream, std::vector<Work>{}).second)
    misuse(call, "the stream captures already");
  return 0;
}

// A failing call ends the capture too, and gives no graph.
int end_capture(const char* call, void* stream, void** graph) {
  const Lock lock(all_books);
  const int error = begin_on_card(call);
  const auto capture = state().capturing.find(stream);
  if (capture == state().capturing.end()) return kNotCapturing;
  std::vector<Work> kept = std::move(capture->second);
  state().capturing.erase(capture);
  if (error) return error;
  *graph = take("graph");
  state().graphs[*graph] = std::move(kept);
  return 0;
}

int make_run(const char* call, void** run, void* graph) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(graph, "graph", call)) return kInvalid;
  *run = take("graph to run");
  state().runs[*run] = state().graphs[graph];
  return 0;
}

int run_graph(const char* call, void* run, void* stream) {
  const Lock lock(all_books);
  if (const int error = begin_on_card(call)) return error;
  if (!check(run, "graph to run", call) || !check(stream, "stream", call)) return kInvalid;
  for (const Work& work : state().runs[run]) enqueue(stream, work);
  return 0;
}

}  // namespace stub
}  // namespace potluck
