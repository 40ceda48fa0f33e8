// Stands in for libcuda.so.1: its calls by their names, of the version STUB_VERSION (12020
// is 12.2).
#include <cstring>

#include "tests/backends/gpu/stub_card.h"

namespace potluck {
namespace {

using Address = unsigned long long;

constexpr int kInvalidCard = 101, kNoCard = 100;

void* at(Address address) {
  return reinterpret_cast<void*>(address);
}

bool is_card(int card) {
  return card >= 0 && card < books().cards;
}

// A card's answer by CUDA's number of the question; the capability comes from "sm_86".
int answer(int question) {
  const int capability = std::atoi(books().architecture.c_str() + 3);
  const std::map<int, int> answers = {{16, 28},
                                      {10, 32},
                                      {38, 2359296},
                                      {97, 101376},
                                      {17, 1},
                                      {75, capability / 10},
                                      {76, capability % 10}};
  const auto found = answers.find(question);
  return found == answers.end() ? -1 : found->second;
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

int cuDriverGetVersion(int* version) {
  *version = STUB_VERSION;
  return begin("cuDriverGetVersion");
}
int cuInit(unsigned) {
  const int error = begin("cuInit");
  return error ? error : books().cards > 0 ? 0 : kNoCard;
}
int cuGetErrorName(int error, const char** name) {
  *name = error == kStubOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == kStubBroken    ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                    : "CUDA_ERROR_OTHER";
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = books().cards;
  return begin("cuDeviceGetCount");
}
int cuDeviceGetName(char* name, int room, int card) {
  if (!is_card(card)) return kInvalidCard;
  std::strncpy(name, "NVIDIA Stub 3060", room);
  return begin("cuDeviceGetName");
}
int cuDeviceGetAttribute(int* value, int question, int card) {
  if (const int error = begin("cuDeviceGetAttribute")) return error;
  if (!is_card(card)) return kInvalidCard;
  *value = answer(question);
  return 0;
}
int cuMemGetInfo_v2(size_t* free, size_t* total) {
  if (const int error = begin_on_card("cuMemGetInfo_v2")) return error;
  memory(free, total);
  return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int card) {
  if (const int error = begin("cuDevicePrimaryCtxRetain")) return error;
  if (!is_card(card)) return kInvalidCard;
  *context = take("context");
  return 0;
}
// The stub's contexts are one for each retain, of which this gives back the last.
int cuDevicePrimaryCtxRelease_v2(int) {
  void* last = nullptr;
  for (const auto& [handle, kind] : books().live)
    if (kind == "context") last = handle;
  set_current(nullptr);
  return free("cuDevicePrimaryCtxRelease_v2", "context", last);
}
int cuCtxSetCurrent(void* context) {
  if (const int error = begin("cuCtxSetCurrent")) return error;
  if (!check(context, "context", "cuCtxSetCurrent")) return 1;
  set_current(context);
  return 0;
}

int cuMemAlloc_v2(Address* memory, size_t bytes) {
  void* where = nullptr;
  const int error = allocate("cuMemAlloc_v2", "memory", &where, bytes);
  if (!error) *memory = reinterpret_cast<Address>(where);
  return error;
}
int cuMemFree_v2(Address memory) {
  return free("cuMemFree_v2", "memory", at(memory));
}
int cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
  return allocate("cuMemHostAlloc", "host memory", memory, bytes);
}
int cuMemFreeHost(void* memory) {
  return free("cuMemFreeHost", "host memory", memory);
}
int cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
  return copy("cuMemcpyHtoDAsync_v2", {at(to), "memory"}, {from, "host memory"}, bytes, stream);
}
int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
  return copy("cuMemcpyDtoHAsync_v2", {to, "host memory"}, {at(from), "memory"}, bytes, stream);
}
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream) {
  return copy("cuMemcpyDtoDAsync_v2", {at(to), "memory"}, {at(from), "memory"}, bytes, stream);
}
int cuMemsetD32Async(Address to, unsigned word, size_t count, void* stream) {
  return fill("cuMemsetD32Async", at(to), word, count, stream);
}

int cuStreamCreate(void** stream, unsigned) {
  return make("cuStreamCreate", "stream", stream);
}
int cuStreamDestroy_v2(void* stream) {
  return drop("cuStreamDestroy_v2", "stream", stream);
}
int cuStreamSynchronize(void* stream) {
  return wait("cuStreamSynchronize", stream);
}
int cuEventCreate(void** event, unsigned) {
  return make("cuEventCreate", "event", event);
}
int cuEventDestroy_v2(void* event) {
  return drop("cuEventDestroy_v2", "event", event);
}
int cuEventRecord(void* event, void* stream) {
  return record("cuEventRecord", event, stream);
}
int cuStreamWaitEvent(void* stream, void* event, unsigned) {
  return meet("cuStreamWaitEvent", stream, event);
}
int cuEventElapsedTime(float* milliseconds, void* from, void* to) {
  return elapsed("cuEventElapsedTime", milliseconds, from, to);
}

int cuModuleLoadData(void** module, const void* code) {
  return load("cuModuleLoadData", module, code);
}
int cuModuleUnload(void* module) {
  return drop("cuModuleUnload", "module", module);
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  return find_kernel("cuModuleGetFunction", function, module, name);
}
int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned, unsigned threads,
                   unsigned, unsigned, unsigned, void* stream, void** parameters, void**) {
  return launch("cuLaunchKernel", function, {{}, grid_x, grid_y, threads, {}}, stream, parameters);
}

int cuStreamBeginCapture_v2(void* stream, int mode) {
  return begin_capture("cuStreamBeginCapture_v2", stream, mode);
}
int cuStreamEndCapture(void* stream, void** graph) {
  return end_capture("cuStreamEndCapture", stream, graph);
}
int cuGraphInstantiateWithFlags(void** run, void* graph, unsigned long long) {
  return make_run("cuGraphInstantiateWithFlags", run, graph);
}
int cuGraphDestroy(void* graph) {
  return drop("cuGraphDestroy", "graph", graph);
}
int cuGraphLaunch(void* run, void* stream) {
  return run_graph("cuGraphLaunch", run, stream);
}
int cuGraphExecDestroy(void* run) {
  return drop("cuGraphExecDestroy", "graph to run", run);
}

}  // extern "C"
