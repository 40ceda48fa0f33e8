// Libraries come from dlopen(), and what it cannot do is said in words.
#include "topology/base/shared_library.h"

#include <dlfcn.h>

#include <utility>

namespace potluck {
namespace {

// dlopen() first names the file that it missed, which may be another library that this one needs.
bool says_not_installed(const std::string& name, const std::string& reason) {
  return reason.rfind(name + ": cannot open shared object file: No such file", 0) == 0;
}

}  // namespace

SharedLibrary::SharedLibrary(std::string name, void* handle)
    : name_(std::move(name)), handle_(handle) {}

SharedLibrary::~SharedLibrary() {
  dlclose(handle_);
}

void* SharedLibrary::address_of(const char* symbol) const {
  void* address = dlsym(handle_, symbol);
  if (!address)
    throw Fault(FaultKind::world, name_ + " has no function " + symbol,
                Fix{"it is of a version that potluck does not know; install another"});
  return address;
}

std::unique_ptr<SharedLibrary> open_first(const std::vector<std::string>& names,
                                          const Fault& not_installed) {
  std::string broken;
  for (const std::string& name : names) {
    if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
      return std::make_unique<SharedLibrary>(name, handle);
    const std::string reason = dlerror();
    if (broken.empty() && !says_not_installed(name, reason))
      broken = name + " is installed and cannot be loaded: " + reason;
  }
  if (!broken.empty()) throw Fault(FaultKind::world, broken);
  throw not_installed;
}

}  // namespace potluck
