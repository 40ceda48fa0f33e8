#include "cluster/ring.h"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "cluster/address.h"
#include "cluster/interrupt.h"
#include "cluster/ring_plan.h"
#include "topology/cost_model.h"
#include "transport/zmq.h"

namespace potluck {
namespace {

constexpr double kLastWordsSeconds = 0.3;  // for a dead worker's exit to be seen after its link's

}  // namespace

Ring::Ring(std::shared_ptr<const ModelSource> source, Plan plan, RingSetup setup)
    : source_(std::move(source)), plan_(std::move(plan)), setup_(std::move(setup)) {
  validate(plan_, source_->spec());
  start_workers();
  PipelineOptions options;
  options.incarnation = std::random_device{}() | 1u;
  options.step_timeout_seconds = setup_.step_timeout_seconds;
  pipeline_ = std::make_unique<Pipeline>(source_->spec(), plan_, fingerprint_of(*source_),
                                         pipeline_events(), options);
  apply(pipeline_->start(now()), *transport_);
  run_until([this] { return loaded_ || interrupt_signal() != 0; });
  if (ring_fault_) rethrow(*ring_fault_);
  if (!loaded_) throw Fault(FaultKind::canceled, "interrupted while the ring was loading");
}

Ring::~Ring() {
  if (!pipeline_) return;
  pipeline_->shut_down();
  run_until([] { return false; });
  if (!processes_) return;
  for (const std::string& name : processes_->names())
    setup_.log("log of " + name + ":\n" + processes_->log(name));
}

void Ring::start_workers() {
  if (setup_.hosting == Hosting::threads) {
    thread_workers_ = std::make_unique<InProcessRing>(source_, plan_, setup_.threads);
    transport_ = thread_workers_->coordinator();
    return;
  }
  processes_ = std::make_unique<LocalWorkers>(setup_.program);
  std::vector<WorkerPlan*> local;
  if (plan_.head.local) local.push_back(&plan_.head);
  for (WorkerPlan& stage : plan_.stages)
    if (stage.local) local.push_back(&stage);
  for (WorkerPlan* worker : local) start_process(*worker);
  for (WorkerPlan* worker : local) {
    const std::string at = processes_->endpoint(worker->name);
    if (worker->endpoint.empty()) worker->endpoint = at;
  }
  transport_ = make_zmq_transport({setup_.insecure_plaintext});
}

// Of a worker started here: loopback, or the address that workers elsewhere reach us at.
std::string Ring::free_endpoint() const {
  const auto elsewhere = [](const WorkerPlan& worker) { return !worker.local; };
  const auto stage = std::find_if(plan_.stages.begin(), plan_.stages.end(), elsewhere);
  if (stage == plan_.stages.end() && plan_.head.local) return "tcp://127.0.0.1:*";
  const WorkerPlan& far = plan_.head.local ? *stage : plan_.head;
  return "tcp://" + address_towards(far.endpoint) + ":*";
}

void Ring::start_process(const WorkerPlan& worker) {
  std::vector<std::string> arguments = {
      "--listen", worker.endpoint.empty() ? free_endpoint() : worker.endpoint,
      "-m",       setup_.model,
      "--name",   worker.name,
      "--device", worker.device,
      "--local"};
  if (!worker.threads && setup_.threads)
    arguments.insert(arguments.end(), {"-t", std::to_string(setup_.threads)});
  if (setup_.insecure_plaintext) arguments.push_back("--insecure-plaintext");
  processes_->start(worker.name, arguments);
}

PipelineEvents Ring::pipeline_events() {
  PipelineEvents events;
  events.connected = [this](PeerId worker, const Hello& hello) { say_connected(worker, hello); };
  events.ready = [this](PeerId worker, const Ready& ready) {
    setup_.log(plan_.worker(worker).name + " is ready: " + bytes_text(ready.weight_bytes) +
               " of weights, " + bytes_text(ready.kv_bytes) + " of KV");
  };
  events.loaded = [this] { loaded_ = true; };
  events.encoding = [this](int done, int total) {
    if (asked_.encoding) asked_.encoding(done, total);
  };
  events.step = [this](const StepReport& report) {
    if (asked_.step) asked_.step(report);
  };
  events.canvas_done = [this](uint64_t request, const std::vector<int32_t>& canvas) {
    if (asked_.canvas_done) asked_.canvas_done(request, canvas);
  };
  events.finished = [this](uint64_t, const RequestResult& result) { result_ = result; };
  events.failed = [this](uint64_t request, const Fault& fault) {
    std::optional<Fault>& slot = request ? request_fault_ : ring_fault_;
    if (!slot) slot = fault;
  };
  return events;
}

void Ring::say_connected(PeerId worker, const Hello& hello) const {
  setup_.log(need_text(*source_, plan_, worker) + " of " + bytes_text(hello.bytes_free) +
             " free on " + hello.device);
}

void Ring::run_until(const std::function<bool()>& done) {
  while (running_ && !done()) running_ = run_once(*pipeline_, *transport_);
}

RequestResult Ring::ask(Request request, PipelineEvents events) {
  if (ring_fault_) throw *ring_fault_;
  asked_ = std::move(events);
  result_.reset();
  request_fault_.reset();
  const uint64_t id = pipeline_->submit(std::move(request));
  bool canceled = false;
  run_until([&] {
    if (interrupt_signal() && !canceled) pipeline_->cancel(id);
    canceled = canceled || interrupt_signal();
    return result_ || request_fault_;
  });
  asked_ = {};
  if (ring_fault_) rethrow(*ring_fault_);
  if (request_fault_) throw *request_fault_;
  return *std::move(result_);
}

// A worker that is gone may have said why.
void Ring::rethrow(const Fault& fault) {
  std::string words;
  const Time deadline = now() + from_seconds(processes_ ? kLastWordsSeconds : 0);
  while (fault.kind() == FaultKind::lost && words.empty() && now() < deadline) {
    words = processes_->last_words();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  throw Fault(fault.kind(), fault.text() + (words.empty() ? "" : "; " + words), fault.where());
}

}  // namespace potluck
