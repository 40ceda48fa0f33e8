// The socket's two ends: what rank 0 asks, and what a rank does.
#include "tests/transport/mpi/ranks.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <mutex>
#include <thread>

#include "topology/base/check.h"
#include "transport/wire/wire.h"

namespace potluck {
namespace {

enum class Order : uint8_t { make, destroy, identity, listen, connect, send, drop, wait, raw };

// Numbers and texts in the order in which they were put.
class Parcels final {
 public:
  explicit Parcels(int socket) : socket_(socket) {}

  void put(const void* data, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
      const ssize_t n = write(socket_, static_cast<const char*>(data) + done, bytes - done);
      CHECK(n > 0, errno);
      done += static_cast<size_t>(n);
    }
  }
  bool get(void* data, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
      const ssize_t n = read(socket_, static_cast<char*>(data) + done, bytes - done);
      if (n <= 0) return false;
      done += static_cast<size_t>(n);
    }
    return true;
  }
  template <typename Number>
  void put_number(Number number) {
    put(&number, sizeof(number));
  }
  template <typename Number>
  Number get_number() {
    Number number{};
    CHECK(get(&number, sizeof(number)), "the other end is gone");
    return number;
  }
  void put_bytes(const void* data, size_t bytes) {
    put_number(bytes);
    put(data, bytes);
  }
  std::vector<std::byte> get_bytes() {
    std::vector<std::byte> bytes(get_number<size_t>());
    CHECK(get(bytes.data(), bytes.size()), "the other end is gone");
    return bytes;
  }
  void put_text(const std::string& text) { put_bytes(text.data(), text.size()); }
  std::string get_text() {
    const std::vector<std::byte> bytes = get_bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void put_message(const Message& message) {
    const std::vector<std::byte> header = encode_header(message);
    put_bytes(header.data(), header.size());
    put_bytes(message.payload.data, message.payload.bytes);
  }
  Message get_message() {
    const std::vector<std::byte> header = get_bytes();
    std::vector<std::byte> payload = get_bytes();
    Message message = decode_header(header.data(), header.size(), payload.size());
    message.payload = own_payload(std::move(payload));
    return message;
  }
  // Tells the other end what `work` gives back or throws.
  template <typename Work>
  void put_outcome(const Work& work) {
    std::string text;
    int fault = -1;
    try {
      text = work();
    } catch (const Fault& caught) {
      fault = static_cast<int>(caught.kind());
      text = caught.text();
    }
    put_number(fault);
    put_text(text);
  }
  std::string get_outcome() {
    const int fault = get_number<int>();
    std::string text = get_text();
    if (fault >= 0) throw Fault(static_cast<FaultKind>(fault), text);
    return text;
  }

 private:
  int socket_;
};

// All ranks of a job on one machine have one parent.
sockaddr_un meeting_place() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "potluck-ranks-%d", getppid());
  return address;
}

std::mutex log_mutex;
std::vector<std::string> logged;

std::unique_ptr<Transport> make_party(const std::shared_ptr<MpiJob>& job) {
  return make_mpi_transport(job, [](const std::string& line) {
    const std::lock_guard lock(log_mutex);
    logged.push_back(line);
  });
}

void put_event(Parcels& parcels, const std::optional<Event>& event) {
  parcels.put_number(event.has_value());
  if (!event) return;
  parcels.put_number(event->kind);
  parcels.put_number(event->peer);
  parcels.put_text(event->reason);
  const bool has_message = event->kind == Event::Kind::message || event->kind == Event::Kind::up;
  if (has_message) parcels.put_message(event->message);
}

std::optional<Event> get_event(Parcels& parcels) {
  if (!parcels.get_number<bool>()) return std::nullopt;
  Event event;
  event.kind = parcels.get_number<Event::Kind>();
  event.peer = parcels.get_number<PeerId>();
  event.reason = parcels.get_text();
  const bool has_message = event.kind == Event::Kind::message || event.kind == Event::Kind::up;
  if (has_message) event.message = parcels.get_message();
  return event;
}

void send_as_it_is(MpiWorld& world, Parcels& parcels) {
  const int to = parcels.get_number<int>(), tag = parcels.get_number<int>();
  const std::vector<std::byte> bytes = parcels.get_bytes();
  MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, tag, world.comm());
}

Identity get_identity(Parcels& parcels) {
  const Message message = parcels.get_message();
  return {message.header.source, message.header.incarnation, message.header.epoch, *message.hello};
}

void obey(Order order, Parcels& parcels, std::unique_ptr<Transport>& party,
          const std::shared_ptr<MpiJob>& job) {
  switch (order) {
    case Order::make:
      party = make_party(job);
      return parcels.put_number(true);
    case Order::destroy:
      party.reset();
      return parcels.put_number(true);
    case Order::identity:
      return party->set_identity(get_identity(parcels));
    case Order::listen:
      return parcels.put_outcome([&] { return party->listen(parcels.get_text()); });
    case Order::connect: {
      const PeerId peer = parcels.get_number<PeerId>();
      return party->connect(peer, parcels.get_text());
    }
    case Order::send:
      return parcels.put_outcome([&] {
        party->send(parcels.get_message());
        return "";
      });
    case Order::drop:
      return party->drop(parcels.get_number<PeerId>());
    case Order::wait:
      return put_event(parcels, party->wait(Time(Duration(parcels.get_number<int64_t>()))));
    case Order::raw:
      send_as_it_is(static_cast<MpiWorld&>(*job), parcels);
      return parcels.put_number(true);
  }
}

// A rank between two parties has no thread that looks after MPI; without looks, what others still
// send to it never leaves them.
void take_what_comes_until_ordered(const MpiWorld& world, int socket) {
  pollfd order{socket, POLLIN, 0};
  while (poll(&order, 1, 1) == 0) {
    int found = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, world.comm(), &found, MPI_STATUS_IGNORE);
  }
}

Ranks* ranks_of_program = nullptr;

}  // namespace

// The transport of another rank.
class Ranks::Far final : public Transport {
 public:
  Far(Ranks& ranks, size_t rank) : ranks_(ranks), rank_(rank), parcels_(ranks.sockets_[rank]) {
    ask(Order::make);
    parcels_.get_number<bool>();
  }
  ~Far() override {
    ask(Order::destroy);
    parcels_.get_number<bool>();
    ranks_.taken_[rank_] = false;
  }
  void set_identity(Identity identity) override {
    Message message = message_from(identity, MessageKind::hello, kUnassignedPeer);
    message.hello = identity.hello;
    ask(Order::identity);
    parcels_.put_message(message);
  }
  std::string listen(const std::string& endpoint) override {
    ask(Order::listen);
    parcels_.put_text(endpoint);
    return parcels_.get_outcome();
  }
  void connect(PeerId peer, const Address& address) override {
    ask(Order::connect);
    parcels_.put_number(peer);
    parcels_.put_text(address.endpoint);
  }
  void send(Message message) override {
    ask(Order::send);
    parcels_.put_message(message);
    parcels_.get_outcome();
  }
  void drop(PeerId peer) override {
    ask(Order::drop);
    parcels_.put_number(peer);
  }
  std::optional<Event> wait(Time deadline) override {
    ask(Order::wait);
    parcels_.put_number(int64_t{Duration(deadline.time_since_epoch()).count()});
    return get_event(parcels_);
  }
  void wake() override { CHECK(false, "only rank 0's party can be woken from here"); }

 private:
  void ask(Order order) { parcels_.put_number(order); }

  Ranks& ranks_;
  const size_t rank_;
  Parcels parcels_;
};

// The transport of this process.
class Ranks::Near final : public Transport {
 public:
  Near(std::unique_ptr<Transport> own, std::vector<bool>& taken)
      : own_(std::move(own)), taken_(taken) {}
  ~Near() override {
    own_.reset();
    taken_[0] = false;
  }
  void set_identity(Identity identity) override { own_->set_identity(std::move(identity)); }
  std::string listen(const std::string& endpoint) override { return own_->listen(endpoint); }
  void connect(PeerId peer, const Address& address) override { own_->connect(peer, address); }
  void send(Message message) override { own_->send(std::move(message)); }
  void drop(PeerId peer) override { own_->drop(peer); }
  std::optional<Event> wait(Time deadline) override { return own_->wait(deadline); }
  void wake() override { own_->wake(); }

 private:
  std::unique_ptr<Transport> own_;
  std::vector<bool>& taken_;
};

Ranks::Ranks(std::shared_ptr<MpiJob> job)
    : job_(std::move(job)),
      sockets_(static_cast<size_t>(job_->size())),
      pids_(sockets_.size()),
      taken_(sockets_.size()) {
  ranks_of_program = this;
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = meeting_place();
  CHECK(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0, errno);
  CHECK(::listen(listener, job_->size()) == 0, errno);
  for (int i = 1; i < job_->size(); ++i) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    Parcels parcels(socket);
    const auto rank = static_cast<size_t>(parcels.get_number<int>());
    sockets_[rank] = socket;
    pids_[rank] = parcels.get_number<int>();
  }
  close(listener);
}

Ranks::~Ranks() {
  for (size_t i = 1; i < sockets_.size(); ++i) close(sockets_[i]);
}

Ranks& Ranks::all() {
  return *ranks_of_program;
}

std::unique_ptr<Transport> Ranks::party() {
  for (size_t rank = 0; rank < taken_.size(); ++rank) {
    if (taken_[rank]) continue;
    taken_[rank] = true;
    if (rank > 0) return std::make_unique<Far>(*this, rank);
    return std::make_unique<Near>(make_party(job_), taken_);
  }
  CHECK(false, "more parties than ranks");
}

void Ranks::send_raw(int from, int to, int tag, const std::vector<std::byte>& bytes) {
  Parcels parcels(sockets_[static_cast<size_t>(from)]);
  parcels.put_number(Order::raw);
  parcels.put_number(to);
  parcels.put_number(tag);
  parcels.put_bytes(bytes.data(), bytes.size());
  parcels.get_number<bool>();
}

void Ranks::stop(int rank, bool stopped) {
  kill(pids_[static_cast<size_t>(rank)], stopped ? SIGSTOP : SIGCONT);
}

std::vector<std::string> Ranks::log_lines() {
  const std::lock_guard lock(log_mutex);
  return std::exchange(logged, {});
}

void serve_rank(const std::shared_ptr<MpiJob>& job) {
  const sockaddr_un address = meeting_place();
  int socket = -1;
  for (;;) {
    socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) break;
    close(socket);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  Parcels parcels(socket);
  parcels.put_number(job->rank());
  parcels.put_number(getpid());
  std::unique_ptr<Transport> party;
  for (;;) {
    if (!party) take_what_comes_until_ordered(static_cast<const MpiWorld&>(*job), socket);
    Order order;
    if (!parcels.get(&order, sizeof(order))) break;
    obey(order, parcels, party, job);
  }
  close(socket);
}

}  // namespace potluck
