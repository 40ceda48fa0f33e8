// The file with this machine's secret key, which locks its links with other machines. It lies in
// potluck's folder among the person's settings, and nobody else may read it.
#pragma once

#include <functional>
#include <string>

#include "transport/zmq/lock_keys.h"

namespace potluck {

class KeyFile final {
 public:
  // folder: empty where the environment names none.
  explicit KeyFile(std::string folder) : folder_(std::move(folder)) {}

  std::string path() const { return folder_ + "/key"; }
  bool exists() const;
  // The keys of the file. Throws Fault{input} for a file that others can read, or that is damaged;
  // Fault{world} for one that cannot be read.
  LockKeys read() const;
  // New ones, in place of those that there were. Throws Fault{world}.
  LockKeys replace() const;
  // The keys of the file, which is made first if there is none.
  LockKeys read_or_make() const;

 private:
  LockKeys make(bool in_place_of_another) const;

  const std::string folder_;
};

}  // namespace potluck
