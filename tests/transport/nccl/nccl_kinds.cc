// The kinds of the contract that NCCL wraps: each pair of parties is linked by it both ways, and
// payloads lie on emulated cards.
#include <unistd.h>

#include "tests/contract/transport_kinds.h"
#include "tests/transport/nccl/nccl_bench.h"
#include "transport/inproc/inproc.h"
#include "transport/zmq/zmq.h"

namespace potluck {
namespace {

// Whatever a test was about, NCCL was used as it may be, and nothing of it is left.
class CleanBooks final : public testing::Environment {
  void TearDown() override {
    StandInBooks& books = stand_in_books();
    EXPECT_EQ(books.communicators, 0);
    const std::lock_guard lock(books.mutex);
    for (const std::string& misuse : books.misuses) ADD_FAILURE() << misuse;
  }
};
[[maybe_unused]] testing::Environment* const clean_books =
    testing::AddGlobalTestEnvironment(new CleanBooks);

using Maker = std::function<std::unique_ptr<Transport>()>;

LogLines& log() {
  static LogLines lines;
  return lines;
}

std::unique_ptr<Transport> wrap(std::unique_ptr<Transport> below) {
  NcclOptions options;
  options.open_port = [card = EmulatedCard()] { return card.port(); };
  options.log = [](const std::string& line) { log().add(line); };
  return make_nccl_transport(std::move(below), std::move(options));
}

TransportKind wrapped(const std::string& name, const std::function<Maker()>& make_net,
                      std::function<std::string()> fresh_endpoint) {
  TransportKind kind;
  kind.name = name;
  kind.make_net = [make_net] { return [make = make_net()] { return wrap(make()); }; };
  kind.fresh_endpoint = std::move(fresh_endpoint);
  kind.payload = [](std::vector<std::byte> bytes) {
    return bytes.empty() ? own_payload({}) : on_card(bytes);
  };
  kind.link = [](Transport& a, PeerId a_is, Transport& b, PeerId b_is) {
    link_cards(a, a_is, b, b_is, log());
  };
  return kind;
}

}  // namespace

std::vector<TransportKind> dialing_kinds() {
  const auto inproc = []() -> Maker {
    return [hub = make_inproc_hub()] { return make_inproc_transport(hub); };
  };
  const auto zmq = []() -> Maker {
    return [] {
      ZmqOptions options;
      options.insecure_plaintext = true;
      options.log = [](const std::string&) {};
      return make_zmq_transport(options);
    };
  };
  const auto in_process = [] {
    static int count = 0;
    return "inproc://nccl-" + std::to_string(++count);
  };
  return {wrapped("NcclOverInproc", inproc, in_process),
          wrapped("NcclOverTcp", zmq, [] { return std::string("tcp://127.0.0.1:*"); })};
}

std::vector<TransportKind> transport_kinds() {
  return dialing_kinds();
}

}  // namespace potluck
