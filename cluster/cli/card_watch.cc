// NVML has samples of each process's use of a card (nvml.h of NVIDIA's documentation: numbers and
// the layout of a sample are its ABI). AMD's driver counts the nanoseconds of each client's engines
// (drm-usage-stats.rst of Linux), and says in gpu_busy_percent how busy all of the card is.
#include "cluster/cli/card_watch.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <optional>
#include <system_error>
#include <vector>

#include "topology/base/fault.h"
#include "topology/base/shared_library.h"
#include "topology/plan/plan.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr double kPercent = 100;

// NVML

struct NvmlSample {
  unsigned pid;
  unsigned long long microseconds;  // since 1970
  unsigned sm_percent, memory_percent, encoder_percent, decoder_percent;
};
using NvmlDevice = void*;
constexpr int kNvmlDone = 0, kNvmlNothingNew = 6, kNvmlTooFew = 7;

class NvmlWatch final : public CardWatch {
 public:
  NvmlWatch(const std::string& address, const MachinePlaces& places)
      : places_(places),
        library_(open_first({places.nvml}, Fault(FaultKind::world, places.nvml + " is not here"))) {
    int (*init)() = nullptr;
    int (*find)(const char*, NvmlDevice*) = nullptr;
    library_->find("nvmlInit_v2", init);
    library_->find("nvmlDeviceGetHandleByPciBusId_v2", find);
    library_->find("nvmlDeviceGetProcessUtilization", samples_of_);
    library_->find("nvmlErrorString", error_text_);
    check(init());
    check(find(address.c_str(), &card_));
    samples();
  }

  double look(Time) override {
    std::map<unsigned, NvmlSample> newest;  // by process
    for (const NvmlSample& sample : samples()) newest[sample.pid] = sample;
    double percent = 0;
    each_process(places_, [&](const fs::path& process, bool is_potluck) {
      const auto found = newest.find(static_cast<unsigned>(std::stoul(process.filename())));
      if (found != newest.end() && !is_potluck) percent += found->second.sm_percent;
    });
    return std::min(percent / kPercent, 1.0);
  }

 private:
  void check(int result) const {
    if (result != kNvmlDone)
      throw Fault(FaultKind::world, "NVML says \"" + std::string(error_text_(result)) + "\"");
  }

  // Those since the last call, in the order of their times.
  std::vector<NvmlSample> samples() {
    unsigned count = 0;
    int result = samples_of_(card_, nullptr, &count, seen_);
    std::vector<NvmlSample> samples(count);
    if (result == kNvmlTooFew) result = samples_of_(card_, samples.data(), &count, seen_);
    if (result == kNvmlNothingNew) return {};
    check(result);
    samples.resize(std::min<size_t>(count, samples.size()));
    std::sort(samples.begin(), samples.end(), [](const NvmlSample& a, const NvmlSample& b) {
      return a.microseconds < b.microseconds;
    });
    if (!samples.empty()) seen_ = samples.back().microseconds;
    return samples;
  }

  const MachinePlaces places_;
  const std::unique_ptr<SharedLibrary> library_;
  NvmlDevice card_ = nullptr;
  int (*samples_of_)(NvmlDevice, NvmlSample*, unsigned*, unsigned long long) = nullptr;
  const char* (*error_text_)(int) = nullptr;
  unsigned long long seen_ = 0;
};

// amdgpu

// A process's open file of a card says what that has done for it.
struct Client {
  std::string card, id;
  uint64_t nanoseconds = 0;  // of what draws and computes
};

Client client_of(const fs::path& info) {
  Client client;
  std::ifstream file(info);
  for (std::string name, value, rest; file >> name >> value && std::getline(file, rest);) {
    if (name == "drm-pdev:") client.card = value;
    if (name == "drm-client-id:") client.id = value;
    const bool counts = name == "drm-engine-gfx:" || name == "drm-engine-compute:";
    if (counts && is_number(value)) client.nanoseconds += std::stoull(value);
  }
  return client;
}

class AmdWatch final : public CardWatch {
 public:
  AmdWatch(const std::string& address, const MachinePlaces& places)
      : places_(places),
        address_(address),
        busy_(places.sys / "bus/pci/devices" / address / "gpu_busy_percent") {
    if (!is_number(first_line(busy_)))
      throw Fault(FaultKind::world, busy_.string() + " says nothing");
  }

  // No more than all of the card does, whatever its clients' counters say.
  double look(Time now) override {
    const uint64_t had = nanoseconds_of_others();
    double share = 0;
    if (last_ && had > last_->nanoseconds && now > last_->at)
      share = static_cast<double>(had - last_->nanoseconds) / 1e9 / seconds(now - last_->at);
    last_ = {now, had};
    const std::string busy = first_line(busy_);
    return std::min(share, is_number(busy) ? std::stod(busy) / kPercent : 1.0);
  }

 private:
  struct Seen {
    Time at;
    uint64_t nanoseconds = 0;
  };

  // One client may have several open files, each with the same count.
  uint64_t nanoseconds_of_others() const {
    std::map<std::string, uint64_t> clients;
    each_process(places_, [&](const fs::path& process, bool is_potluck) {
      if (is_potluck) return;
      each_entry(process / "fd", [&](const fs::path& file) {
        std::error_code error;
        if (fs::read_symlink(file, error).string().rfind("/dev/dri/", 0) != 0) return;
        const Client client = client_of(process / "fdinfo" / file.filename());
        if (client.card == address_) clients[client.id] = client.nanoseconds;
      });
    });
    uint64_t sum = 0;
    for (const auto& [id, nanoseconds] : clients) sum += nanoseconds;
    return sum;
  }

  const MachinePlaces places_;
  const std::string address_;
  const fs::path busy_;
  std::optional<Seen> last_;
};

}  // namespace

std::unique_ptr<CardWatch> watch_card(const std::string& device, const std::string& address,
                                      const MachinePlaces& places) {
  if (card_vendor(device) == "cuda") return std::make_unique<NvmlWatch>(address, places);
  return std::make_unique<AmdWatch>(address, places);
}

}  // namespace potluck
