// NcclLibrary: NVIDIA's libnccl or AMD's librccl, which has the same functions, opened while the
// program runs. Names, numbers and layouts are those of nccl.h of version 2.14, the first whose
// communicators need not block; later versions keep them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "topology/base/shared_library.h"

namespace potluck {

// ncclUniqueId.
struct NcclId {
  char bytes[128];
};

// ncclConfig_t of version 2.14; newer libraries go by its size and version.
struct NcclConfig {
  size_t size = sizeof(NcclConfig);
  unsigned magic = 0xcafebeef;
  unsigned version = 21400;
  int blocking = 0;
};

// ncclResult_t and ncclDataType_t, as far as they are looked at.
inline constexpr int kNcclSuccess = 0, kNcclInProgress = 7;
inline constexpr int kNcclUint8 = 1;

// A function of the library and the name it has there. It returns an ncclResult_t.
template <typename... Parameters>
struct NcclCall {
  int (*function)(Parameters...) = nullptr;
  const char* name = "";
};

// Communicators and streams are pointers.
struct NcclCalls {
  NcclCall<int*> version;
  NcclCall<NcclId*> new_id;
  NcclCall<void**, int, NcclId, int, NcclConfig*> make;  // communicator, ranks, id, rank, config
  NcclCall<void*, int*> state;                           // communicator, its ncclResult_t
  // Data, count, type, peer, communicator, stream.
  NcclCall<const void*, size_t, int, int, void*, void*> send;
  NcclCall<void*, size_t, int, int, void*, void*> receive;
  NcclCall<> begin_group, end_group;
  NcclCall<void*> abort;  // ends all that is under way, and frees the communicator
};

class NcclLibrary final {
 public:
  // Throws Fault{world} for a library that is too old or lacks a function.
  explicit NcclLibrary(std::unique_ptr<SharedLibrary> library);

  std::string version() const;  // "NCCL 2.21.5"
  const NcclCalls& calls() const { return calls_; }
  NcclId new_id() const;
  // Throws Fault{world} with the names of call and error unless a result is success or in progress.
  void check(int result, const char* call) const;

  // Calls, and throws as check() does.
  template <typename... Parameters, typename... Given>
  void call(const NcclCall<Parameters...>& what, Given... given) const {
    check(what.function(given...), what.name);
  }

 private:
  template <typename... Parameters>
  void find(const char* name, NcclCall<Parameters...>& what) {
    library_->find(name, what.function);
    what.name = name;
  }

  std::unique_ptr<SharedLibrary> library_;
  NcclCalls calls_;
  const char* (*error_text_)(int) = nullptr;
  int version_ = 0;  // 22105 is 2.21.5
};

// The library for cards of a vendor ("cuda" or "hip"). Throws Fault{world} that says what is
// missing.
std::shared_ptr<const NcclLibrary> open_nccl(const std::string& vendor);

}  // namespace potluck
