// Every host of workers keeps the promises of its interface, over each transport that can reach it.
#include "cluster/ring/worker_host.h"

#include <gtest/gtest.h>

#include "cluster/ring/ring.h"
#include "cluster/ring/ring_flags.h"
#include "cluster/ring/worker_processes.h"
#include "cluster/ring/worker_threads.h"
#include "topology/base/fault.h"
#include "topology/model/locator.h"
#include "transport/make_transport.h"

namespace potluck {
namespace {

constexpr char kModel[] = "synthetic:nano?layers=4&hidden=64&vocab=512&canvas=16&seed=3";

constexpr bool kPlain = true;  // links over TCP

std::shared_ptr<const ModelSource> model() {
  static const std::shared_ptr<const ModelSource> kSource = open_model(kModel, {});
  return kSource;
}

struct HostKind {
  const char* name;
  Hosting hosting;
  const char* transport;
  const char* place;  // where a worker may listen
};
constexpr HostKind kKinds[] = {
    {"threads_inproc", Hosting::threads, "inproc", "inproc://somewhere"},
    {"threads_zmq", Hosting::threads, "zmq", "tcp://127.0.0.1:*"},
    {"processes_zmq", Hosting::processes, "zmq", "tcp://127.0.0.1:*"},
};

HostSetup setup_of(const HostKind& kind) {
  HostSetup setup;
  setup.hosting = kind.hosting;
  setup.transport = kind.transport;
  setup.program = POTLUCK_PROGRAM;
  setup.model = kModel;
  setup.threads = 1;
  return setup;
}

class WorkerHostTest : public testing::TestWithParam<HostKind> {
 protected:
  std::unique_ptr<Transport> new_transport() const {
    return make_transport(GetParam().transport, {hub_, {}, kPlain, {}});
  }
  std::unique_ptr<WorkerHost> new_host() const {
    if (GetParam().hosting == Hosting::processes)
      return std::make_unique<WorkerProcesses>(
          ProcessSetup{POTLUCK_PROGRAM, kModel, kPlain, RemoteShell()});
    return std::make_unique<WorkerThreads>(model(), [this] { return new_transport(); });
  }
  WorkerOrder order(const std::string& name) const { return {name, "cpu", GetParam().place, 1}; }

  std::shared_ptr<InprocHub> hub_ = make_inproc_hub();
};

TEST_P(WorkerHostTest, AWorkerIsReachedAtTheEndpointThatItsHostNames) {
  const auto host = new_host();
  host->start(order("pi"));
  const std::string endpoint = host->endpoint("pi").endpoint;
  EXPECT_EQ(endpoint.find('*'), std::string::npos) << endpoint;
  const auto transport = new_transport();
  Identity me;
  me.self = kCoordinatorPeer;
  me.incarnation = 1;
  transport->set_identity(me);
  transport->connect(kHeadPeer, endpoint);
  const auto event = transport->wait(now() + from_seconds(20));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Event::Kind::up) << event->reason;
}

TEST_P(WorkerHostTest, StopEndsWorkersThatNoCoordinatorHasCalled) {
  const auto host = new_host();
  host->start(order("pi"));
  const std::string endpoint = host->endpoint("pi").endpoint;
  const Time begin = now();
  host->stop();
  EXPECT_LT(seconds(now() - begin), 10);
  EXPECT_EQ(new_transport()->listen(endpoint), endpoint);  // nobody listens there any more
}

TEST_P(WorkerHostTest, AWorkerThatCannotListenIsAFaultWithTheReason) {
  const auto host = new_host();
  WorkerOrder nowhere = order("pi");
  nowhere.listen = "udp://x:1";
  try {
    host->start(nowhere);
    host->endpoint("pi");
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("udp://x:1"), std::string::npos) << fault.what();
  }
}

TEST_P(WorkerHostTest, TheAnswerDoesNotDependOnTheHostOrOnWhatCarriesMessages) {
  RingOptions options;
  options.stages = 2;
  options.ctx_size = 64;
  const auto ids_over = [&](const HostSetup& hosts) {
    Ring ring(model(), make_plan(*model(), options), {hosts});
    Request request;
    request.prompt = {2, 17, 23};
    request.max_tokens = model()->spec().canvas;
    request.generation = model()->spec().generation;
    request.generation.max_steps = 4;
    return ring.ask(request).ids;
  };
  const std::vector<int32_t> expected = ids_over({});
  EXPECT_EQ(expected.size(), 16u);
  EXPECT_EQ(ids_over(setup_of(GetParam())), expected);
}

INSTANTIATE_TEST_SUITE_P(Hosts, WorkerHostTest, testing::ValuesIn(kKinds),
                         [](const auto& each) { return std::string(each.param.name); });

// The words of --host and --transport, the stages → the host and the transport.
TEST(HostSetup, EachOfHostAndTransportFollowsFromTheOther) {
  const auto chosen = [](const char* host, const char* transport, int stages, const char* plan) {
    RingFlags flags;
    flags.host = host;
    flags.transport = transport;
    flags.plan = plan;
    const HostSetup setup = host_setup(flags, stages);
    return std::string(setup.hosting == Hosting::threads ? "threads " : "processes ") +
           setup.transport;
  };
  EXPECT_EQ(chosen("", "", 1, ""), "threads inproc");
  EXPECT_EQ(chosen("", "", 3, ""), "processes zmq");
  EXPECT_EQ(chosen("", "", 1, "p.yaml"), "processes zmq");
  EXPECT_EQ(chosen("", "inproc", 3, ""), "threads inproc");
  EXPECT_EQ(chosen("", "zmq", 1, ""), "processes zmq");
  EXPECT_EQ(chosen("threads", "", 3, ""), "threads inproc");
  EXPECT_EQ(chosen("threads", "", 3, "p.yaml"), "threads zmq");
  EXPECT_EQ(chosen("threads", "zmq", 3, ""), "threads zmq");
  EXPECT_EQ(chosen("processes", "", 1, ""), "processes zmq");
}

}  // namespace
}  // namespace potluck
