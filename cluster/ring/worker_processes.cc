// Starts `potluck worker` processes, reads where they listen, and ends them.
#include "cluster/ring/worker_processes.h"

#include <fmt/format.h>

#include <cstring>
#include <thread>

#include "topology/base/check.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr double kHelloSeconds = 60;   // a model may be mapped from a slow disk
constexpr double kGoodbyeSeconds = 1;  // then a worker is killed
constexpr char kListening[] = "listening on ";

}  // namespace

WorkerProcesses::~WorkerProcesses() {
  stop();
}

std::vector<std::string> WorkerProcesses::command_line(const WorkerOrder& order) const {
  std::vector<std::string> words = {"potluck",  "worker",     "--listen", order.listen,
                                    "-m",       setup_.model, "--name",   order.name,
                                    "--device", order.device, "--local"};
  if (order.threads) words.insert(words.end(), {"-t", std::to_string(order.threads)});
  if (order.ranges) words.push_back("--ranges");
  if (setup_.insecure_plaintext) words.push_back("--insecure-plaintext");
  return words;
}

void WorkerProcesses::start(const WorkerOrder& order) {
  children_.erase(order.name);  // ends it
  children_[order.name] = std::make_unique<ChildProcess>(setup_.program, command_line(order));
}

std::string WorkerProcesses::endpoint(const std::string& name) {
  ChildProcess& child = find(name);
  std::optional<std::string> line;
  try {
    line = child.line(now() + from_seconds(kHelloSeconds));
  } catch (const Fault& fault) {
    throw Fault(fault.kind(), "interrupted while the workers were starting");
  }
  if (!line)
    throw Fault(FaultKind::world,
                "local worker " + name + " did not start: " +
                    (child.wait_until(now() + from_seconds(kGoodbyeSeconds))
                         ? child.last_words()
                         : fmt::format("no word from it within {} s", kHelloSeconds)));
  CHECK(line->rfind(kListening, 0) == 0, *line);
  return line->substr(std::strlen(kListening));
}

std::string WorkerProcesses::last_words(Time deadline) {
  std::string words = words_of_failed();
  while (words.empty() && now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    words = words_of_failed();
  }
  return words;
}

std::string WorkerProcesses::words_of_failed() const {
  std::string text;
  for (const auto& [name, child] : children_) {
    if (!child->has_ended() || child->code() == 0) continue;
    const std::string words = child->last_words();
    text += fmt::format("{}{} (pid {}) {}{}", text.empty() ? "" : "; ", name, child->pid(),
                        child->ending(), words.empty() ? "" : "; its last words: " + words);
  }
  return text;
}

std::string WorkerProcesses::logs() const {
  std::string text;
  for (const auto& [name, child] : children_) text += "log of " + name + ":\n" + child->log();
  return text;
}

ChildProcess& WorkerProcesses::find(const std::string& name) const {
  const auto found = children_.find(name);
  CHECK(found != children_.end(), name);
  return *found->second;
}

void WorkerProcesses::stop() {
  const Time deadline = now() + from_seconds(kGoodbyeSeconds);
  for (const auto& [name, child] : children_) child->wait_until(deadline);
  for (const auto& [name, child] : children_) child->kill();
}

}  // namespace potluck
