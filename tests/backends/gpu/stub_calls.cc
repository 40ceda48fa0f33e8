// The calls that CUDA's driver and HIP's share, by the name that each has for them. CUDA's
// addresses are integers of 64 bits, which are passed as pointers are.
#include "tests/backends/gpu/stub_card.h"

#ifdef STUB_CUDA
#define NAME(cuda, hip) cuda
#else
#define NAME(cuda, hip) hip
#endif

using namespace potluck;
using namespace potluck::stub;

extern "C" {

StubBooks* stub_books() {
  return &books();
}
void stub_clear() {
  clear_books();
}

int NAME(cuDeviceGetCount, hipGetDeviceCount)(int* count) {
  *count = books().cards;
  return begin(__func__);
}
int NAME(cuMemGetInfo_v2, hipMemGetInfo)(size_t* free, size_t* total) {
  if (const int error = begin_on_card(__func__)) return error;
  memory(free, total);
  return 0;
}

int NAME(cuMemAlloc_v2, hipMalloc)(void** memory, size_t bytes) {
  return allocate(__func__, "memory", memory, bytes);
}
int NAME(cuMemFree_v2, hipFree)(void* memory) {
  return free(__func__, "memory", memory);
}
int NAME(cuMemHostAlloc, hipHostMalloc)(void** memory, size_t bytes, unsigned) {
  return allocate(__func__, "host memory", memory, bytes);
}
int NAME(cuMemFreeHost, hipHostFree)(void* memory) {
  return free(__func__, "host memory", memory);
}
int NAME(cuMemcpyHtoDAsync_v2, hipMemcpyHtoDAsync)(void* to, void* from, size_t bytes,
                                                   void* stream) {
  return copy(__func__, {to, "memory"}, {from, "host memory"}, bytes, stream);
}
int NAME(cuMemcpyDtoHAsync_v2, hipMemcpyDtoHAsync)(void* to, void* from, size_t bytes,
                                                   void* stream) {
  return copy(__func__, {to, "host memory"}, {from, "memory"}, bytes, stream);
}
int NAME(cuMemcpyDtoDAsync_v2, hipMemcpyDtoDAsync)(void* to, void* from, size_t bytes,
                                                   void* stream) {
  return copy(__func__, {to, "memory"}, {from, "memory"}, bytes, stream);
}
int NAME(cuMemsetD32Async, hipMemsetD32Async)(void* to, unsigned word, size_t count, void* stream) {
  return fill(__func__, to, word, count, stream);
}

int NAME(cuStreamCreate, hipStreamCreateWithFlags)(void** stream, unsigned) {
  return make(__func__, "stream", stream);
}
int NAME(cuStreamDestroy_v2, hipStreamDestroy)(void* stream) {
  return drop(__func__, "stream", stream);
}
int NAME(cuStreamQuery, hipStreamQuery)(void* stream) {
  return ask_stream(__func__, stream);
}
int NAME(cuEventCreate, hipEventCreateWithFlags)(void** event, unsigned) {
  return make(__func__, "event", event);
}
int NAME(cuEventDestroy_v2, hipEventDestroy)(void* event) {
  return drop(__func__, "event", event);
}
int NAME(cuEventQuery, hipEventQuery)(void* event) {
  return ask_event(__func__, event);
}
int NAME(cuEventRecord, hipEventRecord)(void* event, void* stream) {
  return record(__func__, event, stream);
}
int NAME(cuStreamWaitEvent, hipStreamWaitEvent)(void* stream, void* event, unsigned) {
  return meet(__func__, stream, event);
}
int NAME(cuEventElapsedTime, hipEventElapsedTime)(float* milliseconds, void* from, void* to) {
  return elapsed(__func__, milliseconds, from, to);
}

int NAME(cuModuleLoadData, hipModuleLoadData)(void** module, const void* code) {
  return load(__func__, module, code);
}
int NAME(cuModuleUnload, hipModuleUnload)(void* module) {
  return drop(__func__, "module", module);
}
int NAME(cuModuleGetFunction, hipModuleGetFunction)(void** function, void* module,
                                                    const char* name) {
  return find_kernel(__func__, function, module, name);
}
int NAME(cuLaunchKernel, hipModuleLaunchKernel)(void* function, unsigned grid_x, unsigned grid_y,
                                                unsigned, unsigned threads, unsigned, unsigned,
                                                unsigned, void* stream, void** parameters, void**) {
  return launch(__func__, function, {{}, grid_x, grid_y, threads, {}}, stream, parameters);
}

int NAME(cuStreamBeginCapture_v2, hipStreamBeginCapture)(void* stream, int mode) {
  return begin_capture(__func__, stream, mode);
}
int NAME(cuStreamEndCapture, hipStreamEndCapture)(void* stream, void** graph) {
  return end_capture(__func__, stream, graph);
}
int NAME(cuGraphInstantiateWithFlags, hipGraphInstantiateWithFlags)(void** run, void* graph,
                                                                    unsigned long long) {
  return make_run(__func__, run, graph);
}
int NAME(cuGraphDestroy, hipGraphDestroy)(void* graph) {
  return drop(__func__, "graph", graph);
}
int NAME(cuGraphLaunch, hipGraphLaunch)(void* run, void* stream) {
  return run_graph(__func__, run, stream);
}
int NAME(cuGraphExecDestroy, hipGraphExecDestroy)(void* run) {
  return drop(__func__, "graph to run", run);
}

}  // extern "C"
