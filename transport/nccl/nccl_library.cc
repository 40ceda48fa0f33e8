// Opens the library and turns its errors into faults.
#include "transport/nccl/nccl_library.h"

#include <utility>

#include "topology/base/fault.h"
#include "transport/nccl/nccl_names.h"

namespace potluck {
namespace {

constexpr int kOldestVersion = 21400;
constexpr const char* kOldest = "2.14";

}  // namespace

NcclLibrary::NcclLibrary(std::unique_ptr<SharedLibrary> library) : library_(std::move(library)) {
  library_->find("ncclGetErrorString", error_text_);
  find("ncclGetVersion", calls_.version);
  call(calls_.version, &version_);
  if (version_ < kOldestVersion)
    throw Fault(FaultKind::world, library_->name() + " is " + version() + ", which is too old",
                Fix{std::string("install ") + kOldest + " or newer"});
  find("ncclGetUniqueId", calls_.new_id);
  find("ncclCommInitRankConfig", calls_.make);
  find("ncclCommGetAsyncError", calls_.state);
  find("ncclSend", calls_.send);
  find("ncclRecv", calls_.receive);
  find("ncclGroupStart", calls_.begin_group);
  find("ncclGroupEnd", calls_.end_group);
  find("ncclCommAbort", calls_.abort);
}

// Until 2.8 a version had one digit less.
std::string NcclLibrary::version() const {
  const int major = version_ < 10000 ? version_ / 1000 : version_ / 10000;
  const int minor = version_ < 10000 ? version_ / 100 % 10 : version_ / 100 % 100;
  return "NCCL " + std::to_string(major) + "." + std::to_string(minor) + "." +
         std::to_string(version_ % 100);
}

NcclId NcclLibrary::new_id() const {
  NcclId id = {};
  call(calls_.new_id, &id);
  return id;
}

void NcclLibrary::check(int result, const char* call) const {
  if (result == kNcclSuccess || result == kNcclInProgress) return;
  const char* text = error_text_(result);
  throw Fault(FaultKind::world, std::string(call) +
                                    " failed: " + (text ? text : "an error without a name") + " (" +
                                    std::to_string(result) + ")");
}

std::shared_ptr<const NcclLibrary> open_nccl(const std::string& vendor) {
  const bool hip = vendor == "hip";
  const Fault not_installed(
      FaultKind::world, std::string(hip ? "librccl.so.1" : "libnccl.so.2") + " is not installed",
      Fix{std::string("install ") + (hip ? "RCCL " : "NCCL ") + kOldest +
          " or newer, or leave \"transport: nccl\" out of the plan"});
  return std::make_shared<NcclLibrary>(open_first(nccl_names(vendor), not_installed));
}

}  // namespace potluck
