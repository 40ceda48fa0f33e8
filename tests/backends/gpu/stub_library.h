// StubLibrary: one of the stub drivers that the tests build, with clean books.
#pragma once

#include <dlfcn.h>

#include <string>

#include "tests/backends/gpu/stub_card.h"

namespace potluck {

class StubLibrary final {
 public:
  // name: "cuda_12_2", "hip_6".
  explicit StubLibrary(const std::string& name)
      : path_(std::string(POTLUCK_STUBS) + "/libstub_" + name + ".so"),
        handle_(dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) {
    if (!handle_) throw std::runtime_error(dlerror());
    clear();
  }
  ~StubLibrary() {
    clear();
    dlclose(handle_);
  }
  StubLibrary(const StubLibrary&) = delete;
  StubLibrary& operator=(const StubLibrary&) = delete;

  const std::string& path() const { return path_; }
  StubBooks& books() const {
    return *reinterpret_cast<StubBooks* (*)()>(dlsym(handle_, "stub_books"))();
  }
  void clear() const { reinterpret_cast<void (*)()>(dlsym(handle_, "stub_clear"))(); }

 private:
  std::string path_;
  void* handle_;
};

}  // namespace potluck
