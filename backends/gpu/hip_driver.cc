// HIP's names for the driver's calls. Numbers and signatures are those of hip_runtime_api.h, which
// are the same in ROCm 5, 6 and 7.
//
// The architecture of a card is a field of hipDeviceProp_t, which has two layouts. Each belongs to
// one exported name for good: hipGetDevicePropertiesR0600 fills the one of ROCm 6 and later, the
// name without a suffix the one before, in libraries of ROCm 6 and 7 as well. So the field is read
// at the place where that name puts it, and is believed if it says "gfx". The kernel's own lists
// (/sys/class/kfd) would need no struct, but they do not know HSA_OVERRIDE_GFX_VERSION, with which
// owners of small cards let the library take the code of a sister chip; it takes no other code
// then.
#include "backends/gpu/hip_driver.h"

#include <utility>

#include "topology/base/fault.h"
#include "topology/base/shared_library.h"

namespace potluck {
namespace {

constexpr AttributeNumbers kAttributes = {
    .units = 63, .lanes = 87, .cache_bytes = 19, .shared_bytes = 74, .watchdog = 18};

// Where gcnArchName[256] lies in each layout, which has 792 or 1472 bytes.
struct Properties {
  DriverCall<void*, int> ask;  // properties, card
  size_t architecture_at = 0;
};
constexpr size_t kPropertiesBytes = 16 << 10;
constexpr size_t kArchitectureAt = 1160, kArchitectureBytes = 256;
constexpr size_t kOldArchitectureAt = 396;
constexpr int kPropertiesChanged = 60000000;  // version 6.0

class Hip final : public Vendor {
 public:
  explicit Hip(std::unique_ptr<SharedLibrary> library);

  std::string kind() const override { return "hip"; }
  std::string version() const override;
  const DriverCalls& calls() const override { return calls_; }
  const AttributeNumbers& attributes() const override { return kAttributes; }
  std::string error_name(int error) const override;
  std::string architecture(int card) override;
  void start() override;
  void open(int card) override { enter(card); }
  void enter(int card) override { call(*this, card, enter_, card); }
  void close(int) noexcept override {}  // the library keeps its contexts

 private:
  template <typename... Parameters>
  void find(const char* name, DriverCall<Parameters...>& what) {
    library_->find(name, what.function);
    what.name = name;
  }
  void find_calls();

  std::unique_ptr<SharedLibrary> library_;
  int version_ = 0;  // 60140093 is 6.1
  DriverCalls calls_;
  DriverCall<unsigned> initialize_;  // flags
  DriverCall<int> enter_;            // card
  Properties properties_;
  const char* (*error_name_)(int) = nullptr;
};

Hip::Hip(std::unique_ptr<SharedLibrary> library) : library_(std::move(library)) {
  library_->find("hipGetErrorName", error_name_);
  find_calls();
}

// The library may look for cards before it says its version.
void Hip::start() {
  DriverCall<int*> ask;
  find("hipRuntimeGetVersion", ask);
  call(*this, kNoCard, initialize_, 0);
  call(*this, kNoCard, ask, &version_);
  const bool old = version_ < kPropertiesChanged;
  find(old ? "hipGetDeviceProperties" : "hipGetDevicePropertiesR0600", properties_.ask);
  properties_.architecture_at = old ? kOldArchitectureAt : kArchitectureAt;
}

void Hip::find_calls() {
  find("hipInit", initialize_);
  find("hipSetDevice", enter_);
  find("hipGetDeviceCount", calls_.count_cards);
  find("hipDeviceGetName", calls_.card_name);
  find("hipDeviceGetPCIBusId", calls_.address);
  find("hipDeviceGetAttribute", calls_.attribute);
  find("hipMemGetInfo", calls_.memory);
  find("hipMalloc", calls_.allocate);
  find("hipFree", calls_.free);
  find("hipHostMalloc", calls_.allocate_host);
  find("hipHostFree", calls_.free_host);
  find("hipMemcpyHtoDAsync", calls_.copy_in);
  find("hipMemcpyDtoHAsync", calls_.copy_out);
  find("hipMemcpyDtoDAsync", calls_.copy);
  find("hipMemsetD32Async", calls_.fill);
  find("hipStreamCreateWithFlags", calls_.make_stream);
  find("hipStreamDestroy", calls_.free_stream);
  find("hipStreamQuery", calls_.ask_stream);
  find("hipEventCreateWithFlags", calls_.make_event);
  find("hipEventDestroy", calls_.free_event);
  find("hipEventQuery", calls_.ask_event);
  find("hipEventRecord", calls_.record);
  find("hipStreamWaitEvent", calls_.wait_for);
  find("hipEventElapsedTime", calls_.elapsed);
  find("hipModuleLoadData", calls_.load);
  find("hipModuleUnload", calls_.unload);
  find("hipModuleGetFunction", calls_.find_kernel);
  find("hipModuleLaunchKernel", calls_.launch);
  find("hipStreamBeginCapture", calls_.begin_capture);
  find("hipStreamEndCapture", calls_.end_capture);
  find("hipGraphInstantiateWithFlags", calls_.make_run);
  find("hipGraphDestroy", calls_.free_graph);
  find("hipGraphLaunch", calls_.run_graph);
  find("hipGraphExecDestroy", calls_.free_run);
}

std::string Hip::version() const {
  if (version_ == 0) return "HIP";
  return "HIP " + std::to_string(version_ / 10000000) + "." +
         std::to_string(version_ / 100000 % 100);
}

std::string Hip::error_name(int error) const {
  const char* name = error_name_(error);
  return name ? name : "an error without a name";
}

// "gfx90a:sramecc+:xnack-" names features behind the chip.
std::string Hip::architecture(int card) {
  std::string properties(kPropertiesBytes, '\0');
  call(*this, card, properties_.ask, properties.data(), card);
  const std::string field = properties.substr(properties_.architecture_at, kArchitectureBytes);
  const std::string chip = field.substr(0, field.find_first_of(std::string(":\0", 2)));
  if (chip.rfind("gfx", 0) != 0)
    throw Fault(FaultKind::world, card_text(*this, card) + ": " + library_->name() +
                                      " does not say which chip it is where potluck looks for it");
  return chip;
}

}  // namespace

std::vector<std::string> hip_libraries() {
  std::vector<std::string> names;
  for (const char* folder : {"", "/opt/rocm/lib/"})
    for (const char* version : {"7", "6", "5"})
      names.push_back(folder + std::string("libamdhip64.so.") + version);
  return names;
}

std::unique_ptr<Vendor> load_hip(const std::vector<std::string>& libraries) {
  const Fault not_installed(FaultKind::world, "libamdhip64.so.7, .6 or .5 is not installed",
                            Fix{"install AMD's HIP runtime, of ROCm 5, 6 or 7"});
  return std::make_unique<Hip>(open_first(libraries, not_installed));
}

}  // namespace potluck
