// Keeps the open sessions by id.
#include "coordinator/session.h"

#include <algorithm>

namespace potluck {

size_t common_length(const Session& session, std::span<const int32_t> prompt) {
  const auto [mine, other] =
      std::mismatch(session.ids.begin(), session.ids.end(), prompt.begin(), prompt.end());
  return mine - session.ids.begin();
}

bool continues(const Session& session, std::span<const int32_t> prompt) {
  return common_length(session, prompt) == session.ids.size();
}

Session& Sessions::open() {
  Session& session = open_[next_];
  session.id = next_++;
  return session;
}

Session* Sessions::find(uint64_t id) {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : &found->second;
}

std::vector<uint64_t> Sessions::ids() const {
  std::vector<uint64_t> ids;
  for (const auto& [id, session] : open_) ids.push_back(id);
  return ids;
}

void Sessions::lose_encoded() {
  for (auto& [id, session] : open_) session.kv_length = session.most = 0;
}

bool Sessions::close(uint64_t id) {
  return open_.erase(id) != 0;
}

}  // namespace potluck
