// A lock on a file says whether a coordinator lives; files beside it say which one.
#include "coordinator/control/running_cluster.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNameMax = 32, kPathMax = 100;  // a socket's path has 107 bytes at most
constexpr char kLock[] = "lock";
constexpr char kNameLetters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
constexpr const char* kPhases[] = {"starting", "up", "ending", "failed"};
constexpr double kEndingSeconds = 10;  // one that ends takes less
constexpr std::chrono::milliseconds kGlance(20);

[[noreturn]] void failed(const std::string& what, const std::string& path) {
  throw Fault(FaultKind::world, "cannot " + what + " " + path + ": " + std::strerror(errno),
              Fix{"set XDG_STATE_HOME to a folder of yours that can be written to"});
}

std::string folder_of(const std::string& folder, const std::string& name) {
  if (name.empty() || name.size() > kNameMax ||
      name.find_first_not_of(kNameLetters) != std::string::npos)
    throw Fault(FaultKind::input, "\"" + name + "\" is no name for a cluster",
                Fix{"it must have 1 to " + std::to_string(kNameMax) + " letters, digits, - and _"});
  if (folder.empty())
    throw Fault(FaultKind::world, "there is no place for what a cluster leaves while it runs",
                Fix{"set HOME, or XDG_STATE_HOME to a folder of yours"});
  return folder + "/" + name;
}

// Its owner's alone; one that was there before is made so.
void make_private(const std::string& folder) {
  std::error_code error;
  fs::create_directories(fs::path(folder).parent_path(), error);
  if (mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) failed("make the folder", folder);
  if (chmod(folder.c_str(), S_IRWXU) != 0 && errno != ENOENT) failed("keep others out of", folder);
}

ClusterState state_of(const nlohmann::json& json, const std::string& path) {
  const JsonFields fields(json, path);
  ClusterState state;
  const std::string phase = fields.text("phase");
  for (const auto each : {ClusterState::Phase::starting, ClusterState::Phase::up,
                          ClusterState::Phase::ending, ClusterState::Phase::failed})
    if (phase == kPhases[static_cast<int>(each)]) state.phase = each;
  state.pid = fields.integer("pid");
  state.model = fields.text("model");
  state.file = fields.text("file");
  state.endpoint = fields.text("endpoint");
  state.joins = fields.has("joins") && fields.at("joins") == true;
  state.failure = fields.text("failure");
  state.since = static_cast<int64_t>(fields.number("since"));
  return state;
}

}  // namespace

RunningCluster::RunningCluster(const std::string& folder, const std::string& name)
    : name_(name), folder_(folder_of(folder, name)), lock_(folder_ + "/" + kLock) {
  if (socket().size() > kPathMax)
    throw Fault(
        FaultKind::world,
        "the path of a socket in " + folder_ + " would be longer than sockets' paths can be",
        Fix{"set XDG_STATE_HOME to a shorter one"});
}

// Another process may remove the folder between our two steps: then both are done again.
bool RunningCluster::claim() {
  const Time deadline = now() + from_seconds(kEndingSeconds);
  for (;;) {
    make_private(fs::path(folder_).parent_path());
    make_private(folder_);
    if (lock_.take()) break;
    const auto phase = phase_or_none();
    if ((!is_up() || phase != ClusterState::Phase::up) && now() < deadline) {
      std::this_thread::sleep_for(kGlance);
      continue;
    }
    throw Fault(
        FaultKind::input,
        "the cluster \"" + name_ + "\" is up already (process " + std::to_string(owner()) + ")",
        Fix{"ask it with potluck run, end it with potluck down, or start another one with "
            "--name"});
  }
  lock_.belongs_to(getpid());
  const bool left = std::distance(fs::directory_iterator(folder_), fs::directory_iterator()) > 1;
  clear();
  return left;
}

void RunningCluster::clear() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored))
    if (entry.path().filename() != kLock) fs::remove_all(entry.path(), ignored);
}

// One whose file is damaged is up, as far as anybody knows.
std::optional<ClusterState::Phase> RunningCluster::phase_or_none() const {
  try {
    const auto state = read();
    return state ? std::optional(state->phase) : std::nullopt;
  } catch (const Fault&) {
    return ClusterState::Phase::up;
  }
}

bool RunningCluster::is_up() const {
  return lock_.is_held();
}

bool RunningCluster::is_there() const {
  std::error_code ignored;
  return fs::exists(folder_, ignored);
}

std::optional<ClusterState> RunningCluster::read() const {
  const std::string path = folder_ + "/state.json";
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::stringstream text;
  text << file.rdbuf();
  try {
    return state_of(parse_json(text.str(), path), path);
  } catch (const Fault& damaged) {
    throw Fault(FaultKind::input,
                "what the cluster \"" + name_ + "\" has written of itself is damaged (" +
                    damaged.text() + ")",
                Fix{"potluck down ends it and cleans up; then start it anew"}, path);
  }
}

void RunningCluster::write(const ClusterState& state) const {
  const nlohmann::json json = {{"phase", kPhases[static_cast<int>(state.phase)]},
                               {"pid", state.pid},
                               {"model", state.model},
                               {"file", state.file},
                               {"endpoint", state.endpoint},
                               {"joins", state.joins},
                               {"failure", state.failure},
                               {"since", state.since}};
  const std::string path = folder_ + "/state.json", beside = path + ".new";
  {
    std::ofstream file(beside);
    file << json.dump(2) << '\n';
    if (!file.flush()) failed("write", beside);
  }
  if (rename(beside.c_str(), path.c_str()) != 0) failed("write", path);
  if (lock_.is_taken()) lock_.belongs_to(state.pid);
}

// The lock goes last, and the folder only while it is empty: from then on it may be another's.
void RunningCluster::remove() {
  clear();
  lock_.remove();
  rmdir(folder_.c_str());
}

bool RunningCluster::remove_left() {
  if (!is_there()) return true;
  if (!lock_.take()) return !is_there();
  remove();
  return true;
}

}  // namespace potluck
