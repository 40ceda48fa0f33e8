// Stands in for libcuda.so.1 of the version STUB_VERSION (12020 is 12.2): what CUDA's driver alone
// has, its contexts and its numbers.
#include <cstdlib>

#include "tests/backends/gpu/stub_card.h"

namespace potluck {
namespace {

// A card's answer by CUDA's number of the question; the capability comes from "sm_86".
int answer(int question) {
  const int capability = std::atoi(books().architecture.c_str() + 3);
  const std::map<int, int> answers = {{16, 28},
                                      {10, 32},
                                      {38, 2359296},
                                      {97, 101376},
                                      {17, books().has_display},
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

int cuDriverGetVersion(int* version) {
  *version = STUB_VERSION;
  return begin(__func__);
}
int cuInit(unsigned) {
  return start(__func__);
}
int cuGetErrorName(int error, const char** name) {
  const std::map<int, const char*> names = {{kStubOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
                                            {kStubBroken, "CUDA_ERROR_ILLEGAL_ADDRESS"},
                                            {kStubGone, "CUDA_ERROR_NO_DEVICE"}};
  const auto found = names.find(error);
  *name = found == names.end() ? "CUDA_ERROR_OTHER" : found->second;
  return 0;
}
int cuDeviceGetName(char* name, int room, int card) {
  return card_name(__func__, "NVIDIA Stub 3060", name, room, card);
}
int cuDeviceGetPCIBusId(char* text, int room, int card) {
  return card_name(__func__, "0000:01:00.0", text, room, card);
}
int cuDeviceGetAttribute(int* value, int question, int card) {
  return attribute(__func__, answer(question), value, card);
}
int cuDevicePrimaryCtxRetain(void** context, int card) {
  if (const int error = begin_with(__func__, card)) return error;
  *context = retain(card);
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int card) {
  return release(__func__, card);
}
int cuCtxSetCurrent(void* context) {
  if (const int error = begin(__func__)) return error;
  if (!check(context, "context", __func__)) return 1;
  set_current(context);
  return 0;
}

}  // extern "C"
