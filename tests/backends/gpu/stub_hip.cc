// Stands in for libamdhip64.so of the version STUB_VERSION (60140093 is 6.1): what HIP alone has,
// its numbers and the layouts of hipDeviceProp_t that each version fills.
#include <cstring>

#include "tests/backends/gpu/stub_card.h"

namespace potluck {
namespace {

int answer(int question) {
  const std::map<int, int> answers = {
      {63, 36}, {87, 32}, {19, 4194304}, {74, 65536}, {18, books().has_display}};
  const auto found = answers.find(question);
  return found == answers.end() ? -1 : found->second;
}

// Fills `size` bytes with what is no name, and puts the chip's name where the layout has it.
int properties(const char* call, char* all, size_t size, size_t name_at, int card) {
  if (const int error = stub::begin_with(call, card)) return error;
  std::memset(all, 0x7F, size);
  std::strcpy(all + name_at, (books().architecture + ":sramecc+").c_str());
  return 0;
}

}  // namespace
}  // namespace potluck

using namespace potluck;
using namespace potluck::stub;

extern "C" {

int hipRuntimeGetVersion(int* version) {
  *version = STUB_VERSION;
  return begin(__func__);
}
int hipInit(unsigned) {
  return start(__func__);
}
const char* hipGetErrorName(int error) {
  return error == kStubOutOfMemory ? "hipErrorOutOfMemory"
         : error == kStubBroken    ? "hipErrorIllegalAddress"
         : error == kStubGone      ? "hipErrorNoDevice"
                                   : "hipErrorOther";
}
int hipDeviceGetName(char* name, int room, int card) {
  return card_name(__func__, "AMD Stub 6800", name, room, card);
}
int hipDeviceGetPCIBusId(char* text, int room, int card) {
  return card_name(__func__, "0000:01:00.0", text, room, card);
}
int hipDeviceGetAttribute(int* value, int question, int card) {
  return attribute(__func__, answer(question), value, card);
}
int hipGetDeviceProperties(char* all, int card) {
  return properties(__func__, all, 792, 396, card);
}
#if STUB_VERSION >= 60000000
int hipGetDevicePropertiesR0600(char* all, int card) {
  return properties(__func__, all, 1472, 1160, card);
}
#endif
int hipSetDevice(int card) {
  if (const int error = begin_with(__func__, card)) return error;
  set_current(&books());
  return 0;
}

}  // extern "C"
