// Session: a conversation as the coordinator knows it: its ids, so that it can tell what a request
// adds to them, and replay all of them to a ring that has lost their keys and values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace potluck {

struct Session {
  uint64_t id = 0;
  std::vector<int32_t> ids;  // encoded by every stage, or on the way to it
  int kv_length = 0;         // how many of them every stage has encoded
  int most = 0;              // that kv_length has been
};

// How many ids the session and the prompt begin with in common.
size_t common_length(const Session& session, std::span<const int32_t> prompt);
// True if the prompt begins with all that the session holds.
bool continues(const Session& session, std::span<const int32_t> prompt);

// Sessions: the open ones. An id is never given twice. A Session stays where it is until it is
// closed.
class Sessions final {
 public:
  Session& open();
  Session* find(uint64_t id);  // null if it is not open
  bool close(uint64_t id);     // false if it was not open
  size_t count() const { return open_.size(); }
  std::vector<uint64_t> ids() const;
  void lose_encoded();  // the ring holds nothing of any session any more

 private:
  std::map<uint64_t, Session> open_;
  uint64_t next_ = 1;
};

}  // namespace potluck
