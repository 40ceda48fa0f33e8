// Loads stages at the other end of links and sends them one segment at a time.
#include "cluster/ring/remote_stages.h"

#include <optional>
#include <random>
#include <utility>

#include "cluster/ring/ring_plan.h"
#include "shard/data_message.h"
#include "topology/base/version.h"
#include "topology/plan/dialing.h"
#include "transport/proof/ring_proof.h"
#include "transport/state_machine.h"

namespace potluck {
namespace {

constexpr uint64_t kOnlySession = 1;
constexpr double kPatienceSeconds = 1800;  // a step of the released model on slow machines
constexpr double kTurnSeconds = 0.002;     // waits at one of the two transports, then the other

// The plan may say where a head that is started here listens; that holds for this one.
Plan with_head_elsewhere(Plan plan) {
  if (!plan.head.local) plan.head.endpoint.clear();
  plan.head.local = false;
  return plan;
}

Address address_of(const WorkerPlan& worker) {
  return {worker.endpoint, worker.key};
}

}  // namespace

RemoteStages::RemoteStages(std::shared_ptr<const ModelSource> source, Plan plan,
                           const HostSetup& setup)
    : source_(std::move(source)),
      plan_(with_head_elsewhere(std::move(plan))),
      incarnation_(std::random_device{}() | 1u),
      secret_(random_bytes(kRingSecretBytes)),
      hosts_(source_, setup),
      coordinator_(hosts_.transport()),
      head_(hosts_.transport()) {
  hosts_.start_all(plan_);
  coordinator_->set_identity(identity_of(kCoordinatorPeer));
  head_->set_identity(identity_of(kHeadPeer));
  plan_.head.endpoint = head_->listen(hosts_.place_of(plan_, kHeadPeer));
  load();
}

// A stage that takes no message any more is not told: its host ends it.
RemoteStages::~RemoteStages() {
  for (int i = 0; i < plan_.stage_count(); ++i) {
    Outbox last;
    last.messages.push_back(message(MessageKind::shutdown, stage_peer(i)));
    apply(std::move(last), *coordinator_);
  }
}

Identity RemoteStages::identity_of(PeerId self) const {
  Identity me;
  me.self = self;
  me.incarnation = incarnation_;
  me.epoch = plan_.epoch;
  me.hello.software = kSoftware;
  me.hello.name = "verify";
  me.callers.emplace();
  if (self == kCoordinatorPeer) return me;
  me.secret = secret_;
  if (plan_.stage_count() == 1) return me;  // the head dials it
  const PeerId last = stage_peer(plan_.stage_count() - 1);
  me.callers->push_back(last);
  me.keys[last] = {plan_.worker(last).key};
  return me;
}

void RemoteStages::load() {
  const Fingerprint model = fingerprint_of(*source_);
  for (int i = 0; i < plan_.stage_count(); ++i)
    coordinator_->connect(stage_peer(i), address_of(plan_.stages[static_cast<size_t>(i)]));
  for (int i = 0; i < plan_.stage_count(); ++i) await(MessageKind::hello);
  for (int i = 0; i < plan_.stage_count(); ++i) {
    Message order = message(MessageKind::load, stage_peer(i));
    order.load = Load{plan_for(plan_, stage_peer(i)), stage_peer(i), model, secret_};
    coordinator_->send(std::move(order));
  }
  for (int i = 0; i < plan_.stage_count(); ++i) await(MessageKind::ready);
  head_->connect(stage_peer(0), address_of(plan_.stages[0]));
  await(MessageKind::hello);
  for (int i = 0; i < plan_.stage_count(); ++i)
    coordinator_->send(message(MessageKind::join, stage_peer(i)));
  for (int i = 0; i < plan_.stage_count(); ++i) await(MessageKind::joined);
  head_->send(message(MessageKind::open, stage_peer(0)));
}

Message RemoteStages::message(MessageKind kind, PeerId to) const {
  Message m;
  m.header.kind = kind;
  m.header.destination = to;
  stamp(m.header, RingId{incarnation_, plan_.epoch});
  m.header.session = kOnlySession;
  return m;
}

Message RemoteStages::through(const Segment& segment, DType hop, Payload payload) {
  const bool encode = segment.mode == Mode::encode;
  Message m = message(encode ? MessageKind::encode : MessageKind::denoise, stage_peer(0));
  m.header.kv_length_before = m.header.first_position = segment.position;
  m.header.rows = segment.rows;
  m.header.dtype = hop;
  m.payload = std::move(payload);
  head_->send(std::move(m));
  if (encode) return await(MessageKind::encode_done);
  Message back = await(MessageKind::denoise);
  check_activations(back, source_->spec(), plan_, plan_.stages.back().hop_type);
  return back;
}

Message RemoteStages::await(MessageKind kind) {
  const Time deadline = now() + from_seconds(kPatienceSeconds);
  std::optional<Message> found;
  while (!found && now() < deadline) {
    for (Transport* transport : {coordinator_.get(), head_.get()})
      if (!found) found = take(*transport, kind);
  }
  if (found) return *std::move(found);
  throw Fault(FaultKind::lost, std::string("no ") + message_kind_name(kind) +
                                   " from the stages within " +
                                   std::to_string(static_cast<int>(kPatienceSeconds)) + " s");
}

// Takes one event: returns the awaited message, throws a failure.
std::optional<Message> RemoteStages::take(Transport& transport, MessageKind kind) {
  std::optional<Event> event = transport.wait(now() + from_seconds(kTurnSeconds));
  if (!event) return std::nullopt;
  if (event->kind == Event::Kind::down && plan_.has_worker(event->peer))
    throw hosts_.with_last_words(
        Fault(FaultKind::lost,
              "lost worker " + plan_.worker(event->peer).name + ": " + event->reason),
        plan_);
  const Message& m = event->message;
  if (m.fault)
    throw explained(Fault(m.fault->kind, m.fault->what, m.fault->fix, m.fault->where), plan_,
                    event->peer);
  if (event->kind == Event::Kind::woken || m.header.kind != kind) return std::nullopt;
  return std::move(event->message);
}

}  // namespace potluck
