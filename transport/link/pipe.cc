// The I/O thread above a pipe: it runs the owner's orders, hands the links what arrives, and the
// pipe what the links say. So a long computation on the owner's thread never looks dead, and a
// stopped process does.
#include "transport/link/pipe.h"

#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "transport/link/link_host.h"
#include "transport/link/link_transport.h"
#include "transport/quiet_thread.h"
#include "transport/wire/wire.h"

namespace potluck {
namespace {

constexpr double kLoopSeconds = 0.02;  // between looks at the clock

void check_digest(const Message& message) {
  const Header& h = message.header;
  if (h.digest == 0) return;
  const Digest found = digest_bytes(message.payload.data, message.payload.bytes);
  if (found != h.digest)
    throw Fault(FaultKind::refused, std::string("the payload of a ") + message_kind_name(h.kind) +
                                        " (" + std::to_string(message.payload.bytes) +
                                        " bytes) has digest " + digest_text(found) + ", not " +
                                        digest_text(h.digest) +
                                        "; a machine or a line on the way damages data");
}

class LinkThread final : public LinkHost, private LinkActions, private PipeEvents {
 public:
  LinkThread(std::unique_ptr<Pipe> pipe, std::function<void(const std::string&)> log_line)
      : log_(std::move(log_line)), pipe_(std::move(pipe)) {
    thread_ = start_without_signals([this] { run(); });
  }

  ~LinkThread() override {
    order([](Links& links) { links.stop(now()); });
    thread_.join();
  }

  // The owner's thread.

  Time time() const override { return now(); }
  Mailbox& mailbox() override { return mailbox_; }

  void order(std::function<void(Links&)> work) override {
    {
      const std::lock_guard lock(mutex_);
      orders_.push_back(std::move(work));
    }
    pipe_->ring();
  }

  std::string listen(const std::string& endpoint) override {
    std::promise<std::string> listening;
    order([this, &listening, &endpoint](Links&) {
      try {
        listening.set_value(pipe_->listen(endpoint));
      } catch (...) {
        listening.set_exception(std::current_exception());
      }
    });
    return listening.get_future().get();
  }

  Parcel pack(Message message) override {
    std::vector<std::byte> header = encode_header(message);
    return {std::move(message), std::move(header)};
  }

 private:
  // The I/O thread.

  void run() {
    while (!links_.stopped(now())) {
      pipe_->wait(now() + from_seconds(kLoopSeconds));
      run_orders();
      pipe_->read(*this);
      links_.tick(now());
    }
  }

  void run_orders() {
    std::vector<std::function<void(Links&)>> orders;
    {
      const std::lock_guard lock(mutex_);
      orders.swap(orders_);
    }
    for (const auto& each : orders) each(links_);
  }

  // The links ask.
  ConnectionId dial(const Address& address) override { return pipe_->dial(address); }
  void send(ConnectionId connection, Parcel parcel) override {
    if (parcel.header.empty()) parcel.header = encode_header(parcel.message);
    pipe_->send(connection, {std::move(parcel.header), std::move(parcel.message.payload)});
  }
  void hang_up(ConnectionId connection, double flush_seconds) override {
    pipe_->hang_up(connection, flush_seconds);
  }
  void guard(const Identity& identity) override { pipe_->guard(identity); }
  void admit(ConnectionId connection) override { pipe_->admit(connection); }
  bool is_receiving(ConnectionId connection) override { return pipe_->is_receiving(connection); }
  void report(std::shared_ptr<LinkEnd> end, Event event) override {
    mailbox_.post(std::move(end), std::move(event));
  }
  uint64_t waiting_bytes() override { return mailbox_.waiting_bytes(); }
  void log(const std::string& line) override { log_(line); }

  // The pipe reports.
  void called(ConnectionId connection, Caller caller) override {
    links_.called(now(), connection, std::move(caller));
  }
  void locked_out(const Caller& caller) override { links_.locked_out(caller); }
  void connected(ConnectionId connection) override { links_.connected(connection); }
  void arrived(ConnectionId connection, const void* header, size_t header_bytes,
               Payload payload) override {
    Message message;
    try {
      message = decode_header(header, header_bytes, payload.bytes);
      message.payload = std::move(payload);
      check_digest(message);
    } catch (const Fault& fault) {
      return links_.broken(connection, fault.what());
    }
    links_.arrived(now(), connection, std::move(message));
  }
  void broken(ConnectionId connection, const std::string& why) override {
    links_.broken(connection, why);
  }
  void hung_up(ConnectionId connection) override { links_.hung_up(connection); }
  void ended(ConnectionId connection) override { links_.ended(now(), connection); }
  void failing(ConnectionId connection, const std::string& why) override {
    links_.failing(connection, why);
  }
  void unreachable(ConnectionId connection, const std::string& why) override {
    links_.unreachable(connection, why);
  }

  const std::function<void(const std::string&)> log_;
  Mailbox mailbox_;
  const std::unique_ptr<Pipe> pipe_;
  Links links_{*this};
  std::mutex mutex_;
  std::vector<std::function<void(Links&)>> orders_;  // under mutex_
  std::thread thread_;                               // last: everything is there when it starts
};

}  // namespace

std::unique_ptr<Transport> make_pipe_transport(std::unique_ptr<Pipe> pipe,
                                               std::function<void(const std::string& line)> log) {
  return make_link_transport(std::make_unique<LinkThread>(std::move(pipe), std::move(log)));
}

}  // namespace potluck
