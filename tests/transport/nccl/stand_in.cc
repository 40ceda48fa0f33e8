// Stands in for libnccl.so.2: ranks of one or two processes of this machine meet at a socket, and a
// thread of each communicator moves the bytes of emulated cards. It refuses what NCCL refuses: two
// ranks of one card, an id that nobody has made, calls while another is in progress or after an
// abort. What NCCL waits for in vain, it waits for until it is aborted: a peer that does not call,
// a transfer whose two sides count differently.
#include "tests/transport/nccl/stand_in.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "transport/nccl/nccl_library.h"

namespace potluck {
namespace {

constexpr int kNoCard = 1, kSystemError = 2, kInvalidArgument = 4, kInvalidUsage = 5,
              kRemoteError = 6;
constexpr int kPollMs = 1;
constexpr char kIdBegin[] = "stand-in ";

StandInBooks& books() {
  static auto* const only = new StandInBooks;  // threads of the library may outlive main()
  return *only;
}

int misuse(const std::string& what) {
  const std::lock_guard lock(books().mutex);
  books().misuses.push_back(what);
  return kInvalidUsage;
}

using EnqueueGate = void (*)(void* stream, int (*is_open)(void*), void* what);
using CurrentCard = const char* (*)();

template <typename Function>
Function of_program(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

std::string current_card() {
  const auto ask = of_program<CurrentCard>("potluck_emulated_card");
  return ask ? ask() : "";
}

struct Transfer {
  bool sends;
  std::byte* data;
  size_t count;
  int type;
  int number = 0;  // of a send
  std::atomic<bool> done = false;
};

int is_done(void* transfer) {
  return static_cast<Transfer*>(transfer)->done;
}

// Each side says this of a transfer, and of itself when they meet.
struct Words {
  uint64_t count = 0, type = 0;
  char card[256] = {};
};

struct Ended {};  // aborted, or the peer is gone

class Rank final {
 public:
  Rank(int ranks, int rank, NcclId id)
      : ranks_(ranks), rank_(rank), id_(id), card_(current_card()) {
    ++books().communicators;
    if (ranks_ == 1)
      state_ = kNcclSuccess;
    else
      thread_ = std::thread([this] { run(); });
  }

  int state() const { return aborted_ ? kInvalidArgument : state_.load(); }
  int rank() const { return rank_; }
  int ranks() const { return ranks_; }

  // The first transfer connects the two, which is in progress until both have asked for it.
  int post(std::shared_ptr<Transfer> transfer, void* stream) {
    if (aborted_) return misuse("a call after an abort");
    if (state_ == kNcclInProgress) return misuse("a call while another is in progress");
    if (state_ != kNcclSuccess) return misuse("a call after an error");
    const auto enqueue = of_program<EnqueueGate>("potluck_emulated_gate");
    if (!enqueue) return kNoCard;
    enqueue(stream, is_done, transfer.get());
    const bool first = !std::exchange(connected_, true);
    if (first) state_ = kNcclInProgress;
    const std::lock_guard lock(mutex_);
    waiting_.push_back(transfer);
    kept_.push_back(std::move(transfer));
    return first ? kNcclInProgress : kNcclSuccess;
  }

  int abort() {
    if (aborted_.exchange(true)) return misuse("an abort after an abort");
    if (thread_.joinable()) thread_.join();
    if (socket_ >= 0) close(socket_);
    for (const auto& transfer : kept_) transfer->done = true;  // its kernel has ended
    --books().communicators;
    return kNcclSuccess;
  }

 private:
  void run();
  void meet();
  void greet();
  void move(Transfer& transfer);
  std::shared_ptr<Transfer> next();
  void wait_for(int file, int events) const;
  void write(const void* data, size_t bytes) const;
  void read(void* data, size_t bytes) const;
  [[noreturn]] void fail(int state) {
    state_ = state;
    throw Ended();
  }
  [[noreturn]] void hang() const {
    while (!aborted_) std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
    throw Ended();
  }

  const int ranks_, rank_;
  const NcclId id_;
  const std::string card_;
  std::atomic<int> state_ = kNcclInProgress;
  std::atomic<bool> aborted_ = false;
  bool connected_ = false;
  int socket_ = -1;
  std::mutex mutex_;
  std::deque<std::shared_ptr<Transfer>> waiting_;  // under mutex_
  std::vector<std::shared_ptr<Transfer>> kept_;    // under mutex_
  std::thread thread_;
};

std::mutex ids_mutex;
std::map<std::string, int> listeners;  // by id; -1: rank 0 has taken it

sockaddr_un address_of(const NcclId& id) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, id.bytes, sizeof(address.sun_path) - 2);  // an abstract name
  return address;
}

// Another process may ask how many bytes went.
void note(const Transfer& transfer) {
  ++books().done;
  const char* log = std::getenv("NCCL_STAND_IN_LOG");
  FILE* file = log ? std::fopen(log, "a") : nullptr;
  if (!file) return;
  std::fprintf(file, "%zu\n", transfer.count);
  std::fclose(file);
}

void Rank::run() {
  try {
    meet();
    greet();
    if (state_ == kNcclInProgress) state_ = kNcclSuccess;
    for (;;) {
      const std::shared_ptr<Transfer> transfer = next();
      move(*transfer);
      transfer->done = true;
      if (transfer->sends) note(*transfer);
    }
  } catch (const Ended&) {
    if (state_ == kNcclSuccess || state_ == kNcclInProgress) state_ = kRemoteError;
  }
}

int take_listener(const NcclId& id) {
  const std::lock_guard lock(ids_mutex);
  const auto found = listeners.find(id.bytes);
  return found == listeners.end() ? -1 : std::exchange(found->second, -1);
}

void Rank::meet() {
  if (rank_ == 0) {
    const int listener = take_listener(id_);
    if (listener < 0) fail(kSystemError);
    wait_for(listener, POLLIN);
    socket_ = accept(listener, nullptr, nullptr);
    close(listener);
    return;
  }
  const sockaddr_un address = address_of(id_);
  socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    fail(kSystemError);
}

void Rank::greet() {
  Words mine, theirs;
  std::strncpy(mine.card, card_.c_str(), sizeof(mine.card) - 1);
  write(&mine, sizeof(mine));
  read(&theirs, sizeof(theirs));
  if (card_ == theirs.card) fail(kInvalidUsage);  // NCCL says "Duplicate GPU detected"
}

std::shared_ptr<Transfer> Rank::next() {
  for (;; std::this_thread::sleep_for(std::chrono::microseconds(50))) {
    if (aborted_) throw Ended();
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) continue;
    std::shared_ptr<Transfer> transfer = std::move(waiting_.front());
    waiting_.pop_front();
    return transfer;
  }
}

void Rank::move(Transfer& transfer) {
  if (transfer.sends && transfer.number == books().hanging_send) hang();
  if (transfer.sends && transfer.number == books().breaking_send) fail(kRemoteError);
  Words mine, theirs;
  mine.count = transfer.count;
  mine.type = static_cast<uint64_t>(transfer.type);
  write(&mine, sizeof(mine));
  read(&theirs, sizeof(theirs));
  if (mine.type != theirs.type) fail(kInvalidUsage);
  if (mine.count != theirs.count) hang();
  state_ = kNcclSuccess;
  if (transfer.sends)
    write(transfer.data, transfer.count);
  else
    read(transfer.data, transfer.count);
}

void Rank::wait_for(int file, int events) const {
  for (pollfd ready{file, static_cast<short>(events), 0}; poll(&ready, 1, kPollMs) <= 0;)
    if (aborted_) throw Ended();
}

void Rank::write(const void* data, size_t bytes) const {
  for (size_t done = 0; done < bytes;) {
    wait_for(socket_, POLLOUT);
    const ssize_t n = send(socket_, static_cast<const std::byte*>(data) + done, bytes - done,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) throw Ended();
    done += static_cast<size_t>(n);
  }
}

void Rank::read(void* data, size_t bytes) const {
  for (size_t done = 0; done < bytes;) {
    wait_for(socket_, POLLIN);
    const ssize_t n = recv(socket_, static_cast<std::byte*>(data) + done, bytes - done, 0);
    if (n <= 0) throw Ended();
    done += static_cast<size_t>(n);
  }
}

// A group is of one rank, which sends to itself.
struct Group {
  int depth = 0;
  std::shared_ptr<Transfer> send, receive;
};
thread_local Group group;

int post(Rank& rank, std::shared_ptr<Transfer> transfer, int peer, void* stream) {
  if (current_card().empty()) return kNoCard;
  if (peer < 0 || peer >= rank.ranks()) return misuse("a peer that there is not");
  if (transfer->sends) transfer->number = ++books().sends;
  if (transfer->sends && transfer->number == books().failing_send) return kSystemError;
  if (peer != rank.rank()) return rank.post(std::move(transfer), stream);
  if (group.depth == 0) return misuse("a rank sends to itself outside of a group");
  if (const auto enqueue = of_program<EnqueueGate>("potluck_emulated_gate"))
    enqueue(stream, is_done, transfer.get());
  (transfer->sends ? group.send : group.receive) = std::move(transfer);
  return kNcclSuccess;
}

std::shared_ptr<Transfer> transfer_of(bool sends, const void* data, size_t count, int type) {
  const auto transfer = std::make_shared<Transfer>();
  transfer->sends = sends;
  transfer->data = static_cast<std::byte*>(const_cast<void*>(data));
  transfer->count = count;
  transfer->type = type;
  return transfer;
}

}  // namespace
}  // namespace potluck

using namespace potluck;

extern "C" {

StandInBooks* nccl_stand_in_books() {
  return &books();
}

int ncclGetVersion(int* version) {
  if (const char* hanging = std::getenv("NCCL_STAND_IN_HANGING_SEND"))
    books().hanging_send = std::atoi(hanging);
  *version = books().version;
  return kNcclSuccess;
}

const char* ncclGetErrorString(int result) {
  return result == kNoCard         ? "unhandled cuda error"
         : result == kSystemError  ? "unhandled system error"
         : result == kInvalidUsage ? "invalid usage"
         : result == kRemoteError  ? "remote process exited or there was a network error"
                                   : "invalid argument";
}

int ncclGetUniqueId(NcclId* id) {
  static std::atomic<int> count = 0;
  *id = {};
  std::snprintf(id->bytes, sizeof(id->bytes), "%s%d.%d", kIdBegin, getpid(), ++count);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(*id);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, 1) != 0)
    return kSystemError;
  const std::lock_guard lock(ids_mutex);
  listeners[id->bytes] = listener;
  return kNcclSuccess;
}

int ncclCommInitRankConfig(void** communicator, int ranks, NcclId id, int rank,
                           NcclConfig* config) {
  if (config->size != 24 || config->magic != 0xcafebeef || config->version < 21400)
    return misuse("a configuration that NCCL does not know");
  if (ranks < 1 || ranks > 2 || rank < 0 || rank >= ranks) return kInvalidArgument;
  if (std::strncmp(id.bytes, kIdBegin, std::strlen(kIdBegin)) != 0) return kInvalidArgument;
  if (current_card().empty()) return kNoCard;
  if (books().refuses_to_make) return kSystemError;
  if (config->blocking && ranks > 1) return misuse("a communicator that would block");
  // Ranks are never freed, so that a call after an abort is found.
  static std::mutex ranks_mutex;
  static auto* const all = new std::vector<std::unique_ptr<Rank>>;
  const std::lock_guard lock(ranks_mutex);
  *communicator = all->emplace_back(std::make_unique<Rank>(ranks, rank, id)).get();
  return ranks == 1 ? kNcclSuccess : kNcclInProgress;
}

int ncclCommGetAsyncError(void* communicator, int* state) {
  *state = static_cast<Rank*>(communicator)->state();
  return kNcclSuccess;
}

int ncclSend(const void* data, size_t count, int type, int peer, void* communicator, void* stream) {
  return post(*static_cast<Rank*>(communicator), transfer_of(true, data, count, type), peer,
              stream);
}

int ncclRecv(void* data, size_t count, int type, int peer, void* communicator, void* stream) {
  return post(*static_cast<Rank*>(communicator), transfer_of(false, data, count, type), peer,
              stream);
}

int ncclGroupStart() {
  ++group.depth;
  return kNcclSuccess;
}

int ncclGroupEnd() {
  if (--group.depth != 0 || !group.send || !group.receive) return kInvalidUsage;
  // The streams' gates look at them later.
  static auto* const kept = new std::vector<std::shared_ptr<Transfer>>;
  Transfer &from = *kept->emplace_back(std::move(group.send)),
           &to = *kept->emplace_back(std::move(group.receive));
  if (from.count != to.count || from.type != to.type) return kNcclSuccess;
  std::memcpy(to.data, from.data, from.count);
  from.done = to.done = true;
  ++books().done;
  return kNcclSuccess;
}

int ncclCommAbort(void* communicator) {
  return static_cast<Rank*>(communicator)->abort();
}
}
