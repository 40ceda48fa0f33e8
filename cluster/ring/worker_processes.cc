// Starts `potluck worker` processes, reads where they listen, and ends them.
#include "cluster/ring/worker_processes.h"

#include <fmt/format.h>

#include <thread>

#include "topology/base/check.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/version.h"

namespace potluck {
namespace {

constexpr double kHelloSeconds = 60;  // a model may be mapped from a slow disk
constexpr double kGlanceSeconds = 0.001;
constexpr double kGoodbyeSeconds = 1;        // then a worker is killed
constexpr double kRemoteGoodbyeSeconds = 4;  // one elsewhere ends by itself when its stdin has

}  // namespace

WorkerProcesses::~WorkerProcesses() {
  stop();
}

// A worker of this machine knows by --local that it ends with its coordinator, and that this
// machine's key is all that may call. One that yields stays when the ring does without it.
std::vector<std::string> WorkerProcesses::command_line(const WorkerOrder& order) const {
  const auto& remote = order.remote;
  std::vector<std::string> words = {
      remote ? remote->program : "potluck",  "worker", "--listen", order.listen, "-m",
      remote ? remote->model : setup_.model, "--name", order.name, "--device",   order.device};
  if (!remote) words.push_back("--local");
  if (remote || !order.yield.empty()) words.push_back("--end-with-stdin");
  if (!order.yield.empty()) words.insert(words.end(), {"--yield", order.yield});
  if (remote && !remote->allow.empty()) words.insert(words.end(), {"--allow", remote->allow});
  if (remote && !remote->fetch_from.endpoint.empty())
    words.insert(words.end(), {"--fetch-from", remote->fetch_from.endpoint, "--fetch-key",
                               remote->fetch_from.key});
  if (order.threads) words.insert(words.end(), {"-t", std::to_string(order.threads)});
  if (order.ranges) words.push_back("--ranges");
  if (setup_.insecure_plaintext) words.push_back("--insecure-plaintext");
  return words;
}

void WorkerProcesses::start(const WorkerOrder& order) {
  std::vector<std::string> words = command_line(order);
  auto child = order.remote ? setup_.shell.start(order.remote->host, words)
                            : std::make_unique<ChildProcess>(setup_.program, words);
  if (order.remote) child->send_pulses();
  started_.erase(order.name);  // ends one that was before
  started_[order.name] = {order, std::move(words), std::move(child), {}};
}

// Its place; and of one elsewhere, its machine's key and its own version, too.
bool WorkerProcesses::has_said_hello(Started& worker, Time deadline) {
  const size_t lines = worker.order.remote ? 3 : 1;
  while (worker.said.size() < lines) {
    std::optional<std::string> line = worker.child->line(deadline);
    if (!line) return false;
    worker.said.push_back(*std::move(line));
  }
  return true;
}

std::string WorkerProcesses::said(const Started& worker, size_t line, const std::string& what) {
  const std::string& text = worker.said.at(line);
  if (text.rfind(what, 0) == 0) return text.substr(what.size());
  throw Fault(FaultKind::refused,
              fmt::format("worker {} says \"{}\", not \"{}…\"", worker.order.name, text, what),
              Fix{"install the same version of potluck on all machines"});
}

Address WorkerProcesses::endpoint(const std::string& name) {
  const auto found = started_.find(name);
  CHECK(found != started_.end(), name);
  Started& worker = found->second;
  try {
    if (!has_said_hello(worker, now() + from_seconds(kHelloSeconds))) throw silence(worker);
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::canceled) throw;
    throw Fault(fault.kind(), "interrupted while the workers were starting");
  }
  Address address = said(worker, 0, kWorkerListening);
  if (!worker.order.remote) return address;
  const std::string key = said(worker, 1, kWorkerKey);
  const std::string software = said(worker, 2, kWorkerSoftware);
  if (software != kSoftware)
    throw Fault(FaultKind::refused,
                fmt::format("{} has {}, and this machine {}", worker.order.remote->host, software,
                            kSoftware),
                Fix{"install the same version there, or copy this one and name it by program:"});
  if (key != kNoKeyShown) address.key = key;
  return address;
}

WorkerState WorkerProcesses::state(const std::string& name) {
  const auto found = started_.find(name);
  if (found == started_.end()) return WorkerState::none;
  if (found->second.child->has_ended()) return WorkerState::ended;
  return has_said_hello(found->second, now() + from_seconds(kGlanceSeconds))
             ? WorkerState::listening
             : WorkerState::starting;
}

Fault WorkerProcesses::silence(const Started& worker) const {
  ChildProcess& child = *worker.child;
  const bool ended = child.wait_until(now() + from_seconds(kGoodbyeSeconds));
  if (worker.order.remote)
    return setup_.shell.failure(worker.order.remote->host, worker.words, child);
  const std::string words = child.last_words();
  const std::string silent =
      fmt::format("it did not say where it listens within {} s", kHelloSeconds);
  const std::string why = ended ? child.ending() : silent;
  return Fault(FaultKind::world, fmt::format("local worker {} did not start: {}{}",
                                             worker.order.name, words.empty() ? why : words,
                                             words.empty() || ended ? "" : " (" + silent + ")"));
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
  for (const auto& [name, worker] : started_) {
    ChildProcess& child = *worker.child;
    if (!child.has_ended() || child.code() == 0) continue;
    const std::string words = child.last_words();
    const std::string where = worker.order.remote ? "on " + worker.order.remote->host
                                                  : fmt::format("pid {}", child.pid());
    text += fmt::format("{}{} ({}) {}{}", text.empty() ? "" : "; ", name, where, child.ending(),
                        words.empty() ? "" : "; its last words: " + words);
  }
  return text;
}

std::map<std::string, std::string> WorkerProcesses::logs() const {
  std::map<std::string, std::string> logs;
  for (const auto& [name, worker] : started_) logs[name] = worker.child->log();
  return logs;
}

void WorkerProcesses::trim_logs() {
  for (const auto& [name, worker] : started_) worker.child->trim_log();
}

void WorkerProcesses::stop() {
  const Time begin = now();
  for (const auto& [name, worker] : started_) worker.child->close_stdin();
  for (const auto& [name, worker] : started_)
    worker.child->wait_until(
        begin + from_seconds(worker.order.remote ? kRemoteGoodbyeSeconds : kGoodbyeSeconds));
  for (const auto& [name, worker] : started_) worker.child->kill();
}

}  // namespace potluck
