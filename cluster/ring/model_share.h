// Gives other machines the bytes of a model that is here, over the control channel.
//
// Verbs: "model-files" {} is answered {"content", "commit", "files": [{"name", "bytes",
// "checksum"}]}, where "commit" is the hub's that the files are of, if they lie in its cache;
// "model-read" {"file", "begin", "bytes", "state"} is answered {"digest"} with the bytes behind it.
// "state" says in words how far the other machine is; it may be empty.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "topology/base/clock.h"
#include "topology/hub/local_files.h"
#include "topology/model/locator.h"
#include "transport/control/control_server.h"

namespace potluck {

// That a worker may need to fetch its part: it gives up by itself when nothing comes.
inline constexpr double kFetchSecondsMax = 12 * 3600;
inline constexpr uint64_t kShareBytesMax = 256 << 10;  // that one "model-read" may ask for

struct SharedModel {
  LocalFiles files;
  std::string content;  // 16 hex digits: the same wherever the model is, whatever its files' names
};

// Whether a model's bytes lie in files, which others may lack; made-up ones and the demos do not.
bool has_files(const std::string& locator);
// Opens the model, so that nobody is given what is no model.
SharedModel shared_model(const std::string& locator, const ModelPlaces& places);

struct ShareRules {
  ControlCallers callers = ControlCallers::known;
  // Throws as the answer for a machine of this key that may not; none: whoever may call may read.
  std::function<void(const std::string& key)> check = {};
  // How far the machine of this key is, each time that it asks for bytes; may be none.
  std::function<void(const std::string& key, const std::string& state)> told = {};
};
// Adds the verbs. model must outlive the server.
void share_model(ControlServer& server, SharedModel& model, ShareRules rules);

// Gives a model to workers on other hosts on a thread of its own, so that it does so whatever the
// ring is waiting for.
class ModelSharer final {
 public:
  // ports: those that may be used, from the last one down, for workers begin with the first; any,
  // if they are 0. Throws Fault{world} if none is free.
  ModelSharer(SharedModel model, std::pair<int, int> ports, std::function<LockKeys()> keys,
              std::function<void(const std::string& line)> say);
  ~ModelSharer();

  // Where the machine that listens at this endpoint may call, and whom it finds there.
  Address address_for(const std::string& endpoint) const;
  // The machine of this key, on which that worker is, may fetch from now on. Any thread.
  void allow(const std::string& key, const std::string& worker);

 private:
  void listen(std::pair<int, int> ports);
  void check(const std::string& key);
  void told(const std::string& key, const std::string& state);

  struct Reader {
    std::string worker;
    Time told{};
  };
  SharedModel model_;
  const std::function<LockKeys()> keys_;
  const std::function<void(const std::string&)> say_;
  std::mutex mutex_;
  std::map<std::string, Reader> readers_;  // by key
  ControlServer server_;
  int port_ = 0;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace potluck
