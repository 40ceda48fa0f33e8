// Stands in for libamdhip64.so of the version STUB_VERSION (60140093 is 6.1): its calls by their
// names, and the layouts of hipDeviceProp_t that each version fills.
#include <cstring>

#include "tests/backends/gpu/stub_card.h"

namespace potluck {
namespace {

constexpr int kInvalidCard = 101, kNoCard = 100;
constexpr int kVersion6 = 60000000;

bool is_card(int card) {
  return card >= 0 && card < books().cards;
}

int answer(int question) {
  const std::map<int, int> answers = {{63, 36}, {87, 32}, {19, 4194304}, {74, 65536}, {18, 0}};
  const auto found = answers.find(question);
  return found == answers.end() ? -1 : found->second;
}

// Fills `size` bytes with what is no name, and puts the chip's name where the layout has it.
int properties(const char* call, char* all, size_t size, size_t name_at, int card) {
  if (const int error = stub::begin(call)) return error;
  if (!is_card(card)) return kInvalidCard;
  std::memset(all, 0x7F, size);
  std::strcpy(all + name_at, (books().architecture + ":sramecc+").c_str());
  return 0;
}

}  // namespace
}  // namespace potluck

using namespace potluck;
using namespace potluck::stub;

extern "C" {

StubBooks* stub_books() {
  return &books();
}
void stub_clear() {
  clear_books();
}

int hipRuntimeGetVersion(int* version) {
  *version = STUB_VERSION;
  return begin("hipRuntimeGetVersion");
}
int hipInit(unsigned) {
  const int error = begin("hipInit");
  return error ? error : books().cards > 0 ? 0 : kNoCard;
}
const char* hipGetErrorName(int error) {
  return error == kStubOutOfMemory ? "hipErrorOutOfMemory"
         : error == kStubBroken    ? "hipErrorIllegalAddress"
                                   : "hipErrorOther";
}
int hipGetDeviceCount(int* count) {
  *count = books().cards;
  return begin("hipGetDeviceCount");
}
int hipDeviceGetName(char* name, int room, int card) {
  if (!is_card(card)) return kInvalidCard;
  std::strncpy(name, "AMD Stub 6800", room);
  return begin("hipDeviceGetName");
}
int hipDeviceGetAttribute(int* value, int question, int card) {
  if (const int error = begin("hipDeviceGetAttribute")) return error;
  if (!is_card(card)) return kInvalidCard;
  *value = answer(question);
  return 0;
}
int hipGetDeviceProperties(char* all, int card) {
  return properties("hipGetDeviceProperties", all, 792, 396, card);
}
#if STUB_VERSION >= 60000000
int hipGetDevicePropertiesR0600(char* all, int card) {
  return properties("hipGetDevicePropertiesR0600", all, 1472, 1160, card);
}
#endif
int hipMemGetInfo(size_t* free, size_t* total) {
  if (const int error = begin_on_card("hipMemGetInfo")) return error;
  memory(free, total);
  return 0;
}
int hipSetDevice(int card) {
  if (const int error = begin("hipSetDevice")) return error;
  if (!is_card(card)) return kInvalidCard;
  set_current(&books());
  return 0;
}

int hipMalloc(void** memory, size_t bytes) {
  return allocate("hipMalloc", "memory", memory, bytes);
}
int hipFree(void* memory) {
  return free("hipFree", "memory", memory);
}
int hipHostMalloc(void** memory, size_t bytes, unsigned) {
  return allocate("hipHostMalloc", "host memory", memory, bytes);
}
int hipHostFree(void* memory) {
  return free("hipHostFree", "host memory", memory);
}
int hipMemcpyHtoDAsync(void* to, void* from, size_t bytes, void* stream) {
  return copy("hipMemcpyHtoDAsync", {to, "memory"}, {from, "host memory"}, bytes, stream);
}
int hipMemcpyDtoHAsync(void* to, void* from, size_t bytes, void* stream) {
  return copy("hipMemcpyDtoHAsync", {to, "host memory"}, {from, "memory"}, bytes, stream);
}
int hipMemcpyDtoDAsync(void* to, void* from, size_t bytes, void* stream) {
  return copy("hipMemcpyDtoDAsync", {to, "memory"}, {from, "memory"}, bytes, stream);
}
int hipMemsetD32Async(void* to, int word, size_t count, void* stream) {
  return fill("hipMemsetD32Async", to, word, count, stream);
}

int hipStreamCreateWithFlags(void** stream, unsigned) {
  return make("hipStreamCreateWithFlags", "stream", stream);
}
int hipStreamDestroy(void* stream) {
  return drop("hipStreamDestroy", "stream", stream);
}
int hipStreamSynchronize(void* stream) {
  return wait("hipStreamSynchronize", stream);
}
int hipEventCreateWithFlags(void** event, unsigned) {
  return make("hipEventCreateWithFlags", "event", event);
}
int hipEventDestroy(void* event) {
  return drop("hipEventDestroy", "event", event);
}
int hipEventRecord(void* event, void* stream) {
  return record("hipEventRecord", event, stream);
}
int hipStreamWaitEvent(void* stream, void* event, unsigned) {
  return meet("hipStreamWaitEvent", stream, event);
}
int hipEventElapsedTime(float* milliseconds, void* from, void* to) {
  return elapsed("hipEventElapsedTime", milliseconds, from, to);
}

int hipModuleLoadData(void** module, const void* code) {
  return load("hipModuleLoadData", module, code);
}
int hipModuleUnload(void* module) {
  return drop("hipModuleUnload", "module", module);
}
int hipModuleGetFunction(void** function, void* module, const char* name) {
  return find_kernel("hipModuleGetFunction", function, module, name);
}
int hipModuleLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned,
                          unsigned threads, unsigned, unsigned, unsigned, void* stream,
                          void** parameters, void**) {
  return launch("hipModuleLaunchKernel", function, {{}, grid_x, grid_y, threads, {}}, stream,
                parameters);
}

int hipStreamBeginCapture(void* stream, int mode) {
  return begin_capture("hipStreamBeginCapture", stream, mode);
}
int hipStreamEndCapture(void* stream, void** graph) {
  return end_capture("hipStreamEndCapture", stream, graph);
}
int hipGraphInstantiateWithFlags(void** run, void* graph, unsigned long long) {
  return make_run("hipGraphInstantiateWithFlags", run, graph);
}
int hipGraphDestroy(void* graph) {
  return drop("hipGraphDestroy", "graph", graph);
}
int hipGraphLaunch(void* run, void* stream) {
  return run_graph("hipGraphLaunch", run, stream);
}
int hipGraphExecDestroy(void* run) {
  return drop("hipGraphExecDestroy", "graph to run", run);
}

}  // extern "C"
