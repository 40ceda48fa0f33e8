// LinkAnswerer: lets doctors of other hosts measure how this one is reached. It listens where a
// worker would, behind the same lock, and answers each message with an empty one.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/ring/key_file.h"
#include "transport/transport.h"

namespace potluck {

struct AnswererOptions {
  int port_first = 0, port_last = 0;  // the first free one of these; 0: any that is free
  std::vector<std::string> keys;      // of those who may call
  std::string plain_host;             // the address to listen at without a lock; empty: locked
};

class LinkAnswerer final {
 public:
  // Listens at all addresses of this machine. Throws Fault{world} where no port is free.
  LinkAnswerer(const KeyFile& keys, const AnswererOptions& options);
  ~LinkAnswerer();

  int port() const { return port_; }

 private:
  void answer();

  std::unique_ptr<Transport> transport_;
  Identity identity_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace potluck
