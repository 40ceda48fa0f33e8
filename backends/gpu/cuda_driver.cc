// CUDA's names for the driver's calls, and its contexts. Numbers and signatures are those of the
// CUDA driver API's manual; a name with _v2 is the one that cuda.h has meant since CUDA 4
// (since 10.1 for cuStreamBeginCapture, since 11 for cuDevicePrimaryCtxRelease).
#include "backends/gpu/cuda_driver.h"

#include <map>
#include <utility>

#include "topology/base/fault.h"
#include "topology/base/shared_library.h"

namespace potluck {
namespace {

// Cubins of CUDA 12 run on every driver of CUDA 12 or later.
constexpr int kOldestVersion = 12000;
constexpr const char* kOldestDriver = "525";

constexpr int kVersionsDiffer = 803;  // CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;
constexpr AttributeNumbers kAttributes = {
    .units = 16, .lanes = 10, .cache_bytes = 38, .shared_bytes = 97, .watchdog = 17};

class Cuda final : public Vendor {
 public:
  explicit Cuda(std::unique_ptr<SharedLibrary> library);

  std::string kind() const override { return "cuda"; }
  std::string version() const override;
  const DriverCalls& calls() const override { return calls_; }
  const AttributeNumbers& attributes() const override { return kAttributes; }
  std::string error_name(int error) const override;
  std::string architecture(int card) override;
  void start() override;
  void open(int card) override;
  void enter(int card) override;
  void close(int card) noexcept override;

 private:
  template <typename... Parameters>
  void find(const char* name, DriverCall<Parameters...>& what) {
    library_->find(name, what.function);
    what.name = name;
  }
  void find_version();
  void find_calls();

  std::unique_ptr<SharedLibrary> library_;
  int version_ = 0;
  DriverCalls calls_;
  DriverCall<unsigned> initialize_;           // flags
  DriverCall<void**, int> retain_context_;    // context, card
  DriverCall<int> release_context_;           // card
  DriverCall<void*> enter_context_;           // context
  DriverCall<int, const char**> error_name_;  // error, text
  std::map<int, void*> contexts_;             // of cards that were opened
};

Cuda::Cuda(std::unique_ptr<SharedLibrary> library) : library_(std::move(library)) {
  find_version();
  find_calls();
}

void Cuda::find_version() {
  DriverCall<int*> ask;
  find("cuDriverGetVersion", ask);
  find("cuGetErrorName", error_name_);
  call(*this, kNoCard, ask, &version_);
  if (version_ < kOldestVersion)
    throw Fault(FaultKind::world,
                "the NVIDIA driver is for " + version() + ", and potluck's code needs CUDA 12.0",
                Fix{std::string("install driver ") + kOldestDriver + " or newer"});
}

void Cuda::find_calls() {
  find("cuInit", initialize_);
  find("cuDevicePrimaryCtxRetain", retain_context_);
  find("cuDevicePrimaryCtxRelease_v2", release_context_);
  find("cuCtxSetCurrent", enter_context_);
  find("cuDeviceGetCount", calls_.count_cards);
  find("cuDeviceGetName", calls_.card_name);
  find("cuDeviceGetPCIBusId", calls_.address);
  find("cuDeviceGetAttribute", calls_.attribute);
  find("cuMemGetInfo_v2", calls_.memory);
  find("cuMemAlloc_v2", calls_.allocate);
  find("cuMemFree_v2", calls_.free);
  find("cuMemHostAlloc", calls_.allocate_host);
  find("cuMemFreeHost", calls_.free_host);
  find("cuMemcpyHtoDAsync_v2", calls_.copy_in);
  find("cuMemcpyDtoHAsync_v2", calls_.copy_out);
  find("cuMemcpyDtoDAsync_v2", calls_.copy);
  find("cuMemsetD32Async", calls_.fill);
  find("cuStreamCreate", calls_.make_stream);
  find("cuStreamDestroy_v2", calls_.free_stream);
  find("cuStreamQuery", calls_.ask_stream);
  find("cuEventCreate", calls_.make_event);
  find("cuEventDestroy_v2", calls_.free_event);
  find("cuEventQuery", calls_.ask_event);
  find("cuEventRecord", calls_.record);
  find("cuStreamWaitEvent", calls_.wait_for);
  find("cuEventElapsedTime", calls_.elapsed);
  find("cuModuleLoadData", calls_.load);
  find("cuModuleUnload", calls_.unload);
  find("cuModuleGetFunction", calls_.find_kernel);
  find("cuLaunchKernel", calls_.launch);
  find("cuStreamBeginCapture_v2", calls_.begin_capture);
  find("cuStreamEndCapture", calls_.end_capture);
  find("cuGraphInstantiateWithFlags", calls_.make_run);
  find("cuGraphDestroy", calls_.free_graph);
  find("cuGraphLaunch", calls_.run_graph);
  find("cuGraphExecDestroy", calls_.free_run);
}

void Cuda::start() {
  const int error = initialize_.function(0);
  if (error == kVersionsDiffer)
    throw Fault(FaultKind::world,
                "the NVIDIA driver's library and its part in the kernel are of different versions",
                Fix{"restart this machine to finish the driver's update"});
  if (error != 0) throw_error(*this, kNoCard, initialize_.name, error);
}

std::string Cuda::version() const {
  if (version_ == 0) return "CUDA";
  return "CUDA " + std::to_string(version_ / 1000) + "." + std::to_string(version_ % 1000 / 10);
}

std::string Cuda::error_name(int error) const {
  const char* name = nullptr;
  return error_name_.function(error, &name) == 0 && name ? name : "an error without a name";
}

// Code for 9.0 may use what Hopper alone has, so it is compiled for sm_90a.
std::string Cuda::architecture(int card) {
  int major = 0, minor = 0;
  call(*this, card, calls_.attribute, &major, kCapabilityMajor, card);
  call(*this, card, calls_.attribute, &minor, kCapabilityMinor, card);
  return "sm_" + std::to_string(major) + std::to_string(minor) +
         (major == 9 && minor == 0 ? "a" : "");
}

void Cuda::open(int card) {
  void* context = nullptr;
  call(*this, card, retain_context_, &context, card);
  contexts_[card] = context;  // the same each time
}

void Cuda::enter(int card) {
  call(*this, card, enter_context_, contexts_.at(card));
}

void Cuda::close(int card) noexcept {
  release_context_.function(card);
}

}  // namespace

std::vector<std::string> cuda_libraries() {
  return {"libcuda.so.1"};
}

std::unique_ptr<Vendor> load_cuda(const std::vector<std::string>& libraries) {
  const Fault not_installed(
      FaultKind::world, "libcuda.so.1 is not installed",
      Fix{std::string("install NVIDIA's driver, ") + kOldestDriver + " or newer"});
  return std::make_unique<Cuda>(open_first(libraries, not_installed));
}

}  // namespace potluck
