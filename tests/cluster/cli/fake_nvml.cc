// Stands in for NVIDIA's NVML: one card, whose processes and their use of it the test writes as
// "PID MICROSECONDS PERCENT" lines into the file that POTLUCK_FAKE_NVML names; "lost" there is a
// card that fell off its bus.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

struct Sample {
  unsigned pid;
  unsigned long long microseconds;
  unsigned sm, memory, encoder, decoder;
};
constexpr int kDone = 0, kNotFound = 6, kTooFew = 7, kLost = 15;

std::vector<Sample> samples_since(unsigned long long seen) {
  std::vector<Sample> samples;
  std::ifstream file(std::getenv("POTLUCK_FAKE_NVML"));
  for (Sample each{}; file >> each.pid >> each.microseconds >> each.sm;)
    if (each.microseconds > seen) samples.push_back(each);
  return samples;
}

bool is_lost() {
  std::ifstream file(std::getenv("POTLUCK_FAKE_NVML"));
  std::string word;
  return file >> word && word == "lost";
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  return kDone;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char* address, void** card) {
  *card = nullptr;
  return std::strcmp(address, "0000:01:00.0") == 0 ? kDone : kNotFound;
}

int nvmlDeviceGetProcessUtilization(void*, Sample* to, unsigned* count, unsigned long long seen) {
  if (is_lost()) return kLost;
  const std::vector<Sample> samples = samples_since(seen);
  if (samples.empty()) return kNotFound;
  const bool fits = to && *count >= samples.size();
  *count = static_cast<unsigned>(samples.size());
  if (!fits) return kTooFew;
  std::memcpy(to, samples.data(), samples.size() * sizeof(Sample));
  return kDone;
}

const char* nvmlErrorString(int error) {
  return error == kNotFound ? "Not Found" : error == kLost ? "GPU is lost" : "Unknown Error";
}
}
