// SharedLibrary: a library that this machine may or may not have, opened while the program runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "topology/base/fault.h"

namespace potluck {

class SharedLibrary final {
 public:
  // Takes what dlopen() gave.
  SharedLibrary(std::string name, void* handle);
  // The code itself stays: drivers leave threads behind that run it.
  ~SharedLibrary();
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  const std::string& name() const { return name_; }

  // Points `function` to the function of this name. Throws Fault{world} if the library has none.
  template <typename Function>
  void find(const char* symbol, Function*& function) const {
    function = reinterpret_cast<Function*>(address_of(symbol));
  }

 private:
  void* address_of(const char* symbol) const;

  std::string name_;
  void* handle_;
};

// Opens the first of these sonames or paths that can be loaded. Throws Fault{world} that says what
// is wrong with the first that is installed, or else `not_installed`.
std::unique_ptr<SharedLibrary> open_first(const std::vector<std::string>& names,
                                          const Fault& not_installed);

}  // namespace potluck
