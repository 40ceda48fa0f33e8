// Says things to the log and to whoever waits.
#include "cluster/launch/up_voice.h"

#include <spdlog/spdlog.h>

#include <cstdio>

#include "topology/base/fault.h"

namespace potluck {
namespace {

void print(const std::string& text) {
  if (std::puts(text.c_str()) < 0 || std::fflush(stdout) != 0)
    throw Fault(FaultKind::world, "nobody reads what up has to say on stdout",
                Fix{"leave out --foreground, and it stays in the background"});
}

}  // namespace

void UpVoice::say(const std::string& text) {
  const std::lock_guard lock(mutex_);
  spdlog::info(text);
  if (progress_) progress_->line(text);
}

void UpVoice::warn(const std::string& text) {
  const std::lock_guard lock(mutex_);
  spdlog::warn(text);
  if (progress_) progress_->line("warning: " + text);
}

void UpVoice::let_go() {
  const std::lock_guard lock(mutex_);
  if (progress_) progress_->let_go();
}

void UpVoice::announce(const std::string& text) {
  const std::lock_guard lock(mutex_);
  progress_ ? progress_->ready(text) : print(text);
  progress_ = nullptr;
}

}  // namespace potluck
