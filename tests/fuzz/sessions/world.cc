// Who is who is drawn first, then what happens, a byte or a few at a time.
#include "tests/fuzz/sessions/world.h"

#include <utility>

#include "topology/base/check.h"
#include "transport/wire/wire.h"

namespace potluck {
namespace {

constexpr double kStepSeconds = 0.3;        // less than what links take for a pause of ours
constexpr double kPatienceSeconds = 30;     // after which every wait of a coordinator is over
constexpr double kSilenceIsOver = 14;       // of links that were left half made
constexpr uint64_t kMemoryBytes = 8 << 20;  // of a worker
constexpr int kTurnsMax = 200000;           // in which everything comes to rest
constexpr int kTamperedOnceIn = 8;

}  // namespace

World::World(Draws& draws)
    : draws_(draws), words_(*the_model(), the_plan()), callers_(wires_, words_) {}

Party::Tamper World::tamper(bool is_traitor) {
  if (!is_traitor)
    return [](Frames frames) {
      std::vector<Frames> same;
      same.push_back(std::move(frames));
      return same;
    };
  return [this](Frames frames) { return pass_on(std::move(frames)); };
}

// A traitor's message leaves as it is, damaged, twice, not at all, or another in its place.
std::vector<Frames> World::pass_on(Frames frames) {
  std::vector<Frames> same;
  same.push_back(frames);
  if (!traitors_act_ || !draws_.once_in(kTamperedOnceIn)) return same;
  Message m;
  try {
    m = read_frames(frames.header.data(), frames.header.size(), frames.payload);
  } catch (const Fault&) {
    return same;
  }
  switch (draws_.below(8)) {
    case 0:
      return {};
    case 1:
      same.push_back(std::move(frames));
      return same;
    case 2:
      m = words_.any(draws_, {ring_of(m.header), m.header.source == kCoordinatorPeer, {}});
      break;
    default:
      m.header.digest = 0;
      words_.damage(draws_, m);
  }
  return words_.frames(draws_, m);
}

void World::add_worker(size_t index) {
  WorkerOptions options;
  options.threads = 1;
  options.name = "worker " + std::to_string(index);
  options.memory_bytes = kMemoryBytes;
  options.log = check_line;
  Member& member = workers_[index];
  member.worker = std::make_unique<Worker>(the_model(), options);
  member.party = std::make_unique<Party>(wires_, *member.worker, member.worker->identity(),
                                         endpoint_of(index), tamper(loyalty_ >> index & 1));
}

void World::choose_sides() {
  const uint64_t sides = draws_.below(4);
  const bool is_ring = sides != 0;
  calls_come_ = sides != 1;
  stays_silent_ = draws_.once_in(4);
  is_loyal_ = sides == 3;
  if (is_ring && !is_loyal_) loyalty_ = 1 + draws_.below(15);
  for (size_t i = 0; i < kWorkers; ++i) add_worker(i);
  if (is_ring) start_ring();
}

// Strangers come when the ring stands: before that the workers cannot know them from neighbours.
void World::start_ring() {
  coordinator_ =
      std::make_unique<Coordinator>(wires_, ++last_incarnation_, tamper(loyalty_ >> kWorkers & 1));
  coordinator_->start(1);
  callers_.know(coordinator_->ring());
  if (!is_loyal_) return;
  settle();
  CHECK(coordinator_->loaded(), coordinator_->failure());
  callers_.expect_nothing();
}

void World::run() {
  choose_sides();
  while (!draws_.empty()) {
    act();
    check_room();
  }
  if (coordinator_) check_ring();
  end_attack();
  check_revived();
  end(coordinator_);
  CHECK(ask_honestly() == undisturbed_answer());
}

void World::act() {
  const uint64_t what = draws_.below(16);
  if (what < 3) return settle();
  if (what < 5) return act_as_time();
  if (what < 7 && coordinator_) return act_as_owner();
  if (!calls_come_) return settle();
  if (what == 7 && !is_loyal_) {
    constexpr HeldModel::Failure kFailures[] = {
        HeldModel::Failure::fault, HeldModel::Failure::no_memory, HeldModel::Failure::other};
    return the_model()->fail(draws_.one_of(kFailures), static_cast<int>(draws_.below(32)));
  }
  if (what < 10) return callers_.dial(draws_, endpoint_of(draws_.below(kWorkers)));
  callers_.act(draws_);
}

void World::act_as_owner() {
  switch (draws_.below(4)) {
    case 0:
      coordinator_->cancel_last();
      break;
    default:
      coordinator_->ask(draws_.once_in(2), draws_.once_in(2));
  }
  coordinator_->party().tick();
}

// Parties get turns in any order, and time passes.
void World::act_as_time() {
  constexpr double kWaits[] = {0.1, 0.6, 1.2, 2.5, 6, 11};
  if (draws_.once_in(4)) return wait(draws_.one_of(kWaits));
  for (uint64_t i = draws_.below(16); i > 0; --i) wires_.deliver();
  Party* party = any_party();
  for (uint64_t i = draws_.below(16); i > 0; --i) party->turn();
}

Party* World::any_party() {
  const size_t which = draws_.below(kWorkers + 1);
  return which == kWorkers && coordinator_ ? &coordinator_->party()
                                           : workers_[which % kWorkers].party.get();
}

void World::wait(double seconds) {
  for (double waited = 0; waited < seconds; waited += kStepSeconds) {
    wires_.pass(kStepSeconds);
    for (const Member& member : workers_) member.party->tick();
    if (coordinator_) coordinator_->party().tick();
    settle();
  }
}

// Until nobody has anything to do. Then nobody holds anything of what was sent to harm.
void World::settle() {
  int turns = 0;
  for (bool busy = true; busy;) {
    busy = wires_.deliver();
    for (const Member& member : workers_) busy = member.party->turn() || busy;
    if (coordinator_) busy = coordinator_->party().turn() || busy;
    CHECK(++turns < kTurnsMax, "this goes on for ever");
  }
  CHECK(words_.ledger().bytes == 0, words_.ledger().bytes);
}

// No more waits at a worker than its plan lets wait, once the worker has looked at it.
void World::check_room() const {
  if (!wires_.quiet()) return;
  uint64_t most = 0;
  for (const Member& member : workers_) {
    most += member.party->waiting_bytes();
    most += member.worker->identity().unread_bytes_max;
  }
  if (coordinator_) most += coordinator_->party().waiting_bytes();
  CHECK(words_.ledger().bytes <= most, words_.ledger().bytes, most);
}

void World::await_answers(Coordinator& coordinator) {
  for (double waited = 0; coordinator.waits() && waited < kPatienceSeconds; waited += kStepSeconds)
    wait(kStepSeconds);
  CHECK(!coordinator.waits(), "a request never ends", loyalty_, coordinator.loaded(),
        coordinator.failure());
}

// Every request of a ring ends, and strangers change nothing about how.
void World::check_ring() {
  settle();
  await_answers(*coordinator_);
  if (!is_loyal_) return;
  CHECK(coordinator_->failure().empty(), coordinator_->failure());
  for (const Answer& answer : coordinator_->answers()) CHECK(answer == undisturbed_answer());
}

void World::end_attack() {
  traitors_act_ = false;
  the_model()->heal();
  if (!stays_silent_) callers_.hang_up();
  wait(stays_silent_ || loyalty_ ? kSilenceIsOver : 0);
  settle();
}

void World::end(std::unique_ptr<Coordinator>& coordinator) {
  if (!coordinator) return;
  coordinator->shut_down();
  coordinator->party().tick();
  settle();
  coordinator.reset();
  settle();
}

// A ring comes to life again with the same coordinator, whatever became of it; but not with one
// that may have said that its epochs were past this one.
void World::check_revived() {
  if (!coordinator_ || is_loyal_ || loyalty_ >> kWorkers) return;
  for (const uint32_t epoch : {2, 3}) {  // a worker may just have given up its place
    coordinator_->start(epoch);
    coordinator_->ask(false, false);
    await_answers(*coordinator_);
    if (coordinator_->failure().empty()) break;
  }
  CHECK(coordinator_->failure().empty(), coordinator_->failure());
  CHECK(coordinator_->answers().back() == undisturbed_answer());
}

Answer World::ask_honestly() {
  coordinator_ = std::make_unique<Coordinator>(wires_, ++last_incarnation_, tamper(false));
  coordinator_->start(1);
  coordinator_->ask(false, false);
  settle();
  CHECK(coordinator_->failure().empty(), coordinator_->failure());
  CHECK(coordinator_->answers().size() == 1);
  const Answer answer = coordinator_->answers().front();
  end(coordinator_);
  return answer;
}

Answer World::undisturbed() {
  for (size_t i = 0; i < kWorkers; ++i) add_worker(i);
  return ask_honestly();
}

const Answer& undisturbed_answer() {
  static const Answer answer = [] {
    Draws none(nullptr, 0);
    return World(none).undisturbed();
  }();
  return answer;
}

}  // namespace potluck
