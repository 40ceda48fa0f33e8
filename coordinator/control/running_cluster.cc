// A lock on a file says whether a coordinator lives; files beside it say which one.
#include "coordinator/control/running_cluster.h"

#include <fcntl.h>
#include <sys/file.h>
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
  if (chmod(folder.c_str(), S_IRWXU) != 0) failed("keep others out of", folder);
}

bool is_same_file(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return fstat(fd, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

}  // namespace

RunningCluster::RunningCluster(const std::string& folder, const std::string& name)
    : name_(name), folder_(folder_of(folder, name)) {
  if (socket().size() > kPathMax)
    throw Fault(
        FaultKind::world,
        "the path of a socket in " + folder_ + " would be longer than sockets' paths can be",
        Fix{"set XDG_STATE_HOME to a shorter one"});
}

RunningCluster::~RunningCluster() {
  if (lock_ >= 0) close(lock_);
}

// Another process may have removed the folder between our two steps: then both are done again.
bool RunningCluster::claim() {
  const std::string path = folder_ + "/" + kLock;
  const Time deadline = now() + from_seconds(kEndingSeconds);
  for (;;) {
    make_private(fs::path(folder_).parent_path());
    make_private(folder_);
    lock_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (lock_ < 0 && errno == ENOENT) continue;
    if (lock_ < 0) failed("write", path);
    const bool mine = flock(lock_, LOCK_EX | LOCK_NB) == 0;
    if (mine && is_same_file(lock_, path)) break;
    close(std::exchange(lock_, -1));
    if (mine) continue;
    const auto state = read();
    if ((!state || state->phase != ClusterState::Phase::up) && now() < deadline) {
      std::this_thread::sleep_for(kGlance);
      continue;
    }
    throw Fault(FaultKind::input,
                "the cluster \"" + name_ + "\" is up already" +
                    (state ? " (process " + std::to_string(state->pid) + ")" : ""),
                Fix{"ask it with potluck run, end it with potluck down, or start another one with "
                    "--name"});
  }
  const bool left = std::distance(fs::directory_iterator(folder_), fs::directory_iterator()) > 1;
  clear();
  return left;
}

void RunningCluster::clear() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored))
    if (entry.path().filename() != kLock) fs::remove_all(entry.path(), ignored);
}

bool RunningCluster::is_up() const {
  const int file = open((folder_ + "/" + kLock).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool free = flock(file, LOCK_SH | LOCK_NB) == 0;
  close(file);
  return !free;
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
  const nlohmann::json json = parse_json(text.str(), path);
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
  state.failure = fields.text("failure");
  state.since = static_cast<int64_t>(fields.number("since"));
  return state;
}

void RunningCluster::write(const ClusterState& state) const {
  const nlohmann::json json = {{"phase", kPhases[static_cast<int>(state.phase)]},
                               {"pid", state.pid},
                               {"model", state.model},
                               {"file", state.file},
                               {"endpoint", state.endpoint},
                               {"failure", state.failure},
                               {"since", state.since}};
  const std::string path = folder_ + "/state.json", beside = path + ".new";
  {
    std::ofstream file(beside);
    file << json.dump(2) << '\n';
    if (!file.flush()) failed("write", beside);
  }
  if (rename(beside.c_str(), path.c_str()) != 0) failed("write", path);
}

void RunningCluster::remove() const {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace potluck
