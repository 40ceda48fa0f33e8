// Adds up what the machines have that are there, and tries a plan whenever another comes.
#include "cluster/launch/waiting_room.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/ring/device_speed.h"
#include "coordinator/control/ring_messages.h"
#include "topology/base/text.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

using Json = nlohmann::json;
using Call = std::shared_ptr<ControlCall>;

// This machine's memory is looked at again, and what failed is tried again, after so long.
constexpr double kAgainSeconds = 10;

// The processes of head and stages take so much of this machine's memory beside what a plan counts.
constexpr uint64_t kProcessHeadroom = uint64_t{64} << 20;

bool are_same(const std::vector<Candidate>& a, const std::vector<Candidate>& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(), [](const Candidate& one, const Candidate& other) {
        return one.worker.name == other.worker.name && one.worker.endpoint == other.worker.endpoint;
      });
}

}  // namespace

WaitingRoom::WaitingRoom(std::shared_ptr<const ModelSource> source, WaitingSetup setup)
    : source_(std::move(source)), setup_(std::move(setup)), since_(now()) {
  const std::vector<DeviceRoom> found = rooms();
  needed_ = whole_need(*source_, setup_.frame);
  for (const DeviceRoom& room : found) {
    setup_.say("measuring " + room.device);
    const MeasuredSpeed measured =
        measure_speed(*source_, room, room.is_card() ? 0 : setup_.threads);
    for (const std::string& why : {measured.problem, measured.left_out})
      if (!why.empty()) setup_.say(room.device + ": " + why);
    if (!measured.problem.empty()) continue;  // a device that is broken has no part
    own_.push_back({room, measured.speed.sliding_layer_ms});
  }
  std::vector<DeviceRoom> usable;
  for (const OwnDevice& own : own_) usable.push_back(own.room);
  if (usable.empty())
    throw Fault(FaultKind::world, "no device of this machine computes the model",
                Fix{"potluck doctor says why"});
  MemoryPartitioner(usable, setup_.frame, std::nullopt).head_device(*source_);
  see({});
}

std::vector<DeviceRoom> WaitingRoom::rooms() const {
  std::vector<DeviceRoom> rooms = setup_.rooms();
  for (DeviceRoom& room : rooms)
    if (!room.is_card()) room.headroom += kProcessHeadroom;
  return rooms;
}

void WaitingRoom::see(const std::vector<Candidate>& guests) {
  for (const DeviceRoom& room : rooms())
    for (OwnDevice& own : own_)
      if (own.room.device == room.device) own.room = room;
  guests_ = guests;
  free_ = 0;
  std::vector<std::string> names = {"this machine"};
  for (const OwnDevice& own : own_) free_ += own.room.bytes();
  for (const Candidate& guest : guests_) {
    free_ += guest.bytes_free;
    names.push_back(guest.worker.name);
  }
  const std::string who =
      fmt::format("{} {}", fmt::join(names, ", "), names.size() == 1 ? "has" : "have");
  missing_ =
      fmt::format("the model needs {}, and {} {}{}", bytes_text(needed_), who, bytes_text(free_),
                  free_ < needed_ ? "" : ", in parts that its layers do not fit");
}

std::optional<Plan> WaitingRoom::look(Time now) {
  const std::vector<Candidate> guests = setup_.guests(now);
  const bool is_news = !are_same(guests, guests_);
  if (!is_news && now - looked_ < from_seconds(kAgainSeconds)) return std::nullopt;
  looked_ = now;
  loads_ = false;
  see(guests);
  try {
    const Plan plan = joint_plan(*source_, setup_.frame, own_, guests_);
    loads_ = true;
    return plan;
  } catch (const Fault& fault) {
    if (is_news) setup_.say("waiting for machines to join: " + missing_);
    return std::nullopt;
  }
}

void WaitingRoom::failed(Time now) {
  looked_ = now;
  loads_ = false;
}

Fault WaitingRoom::not_yet() const {
  if (loads_)
    return Fault(FaultKind::world, "the cluster \"" + setup_.name + "\" is loading the model",
                 Fix{"try again; potluck logs coordinator shows how far it is"});
  return Fault(FaultKind::memory,
               "the cluster \"" + setup_.name + "\" waits for machines to join: " + missing_,
               Fix{"potluck token create, and on another machine potluck join TOKEN"});
}

void WaitingRoom::answer_at(ControlServer& server) {
  const auto known = ControlCallers::known;
  server.when_gone({});
  for (const char* verb : {kAskVerb, kCloseVerb, kModelVerb, kVocabularyVerb, kDrainVerb})
    server.on(verb, known, [this](const Call& call) { call->fail(not_yet()); });
  server.on(kStatusVerb, known, [this](const Call& call) { call->reply(status()); });
  server.on(kLogsVerb, known, [](const Call& call) { call->reply({{"logs", Json::object()}}); });
}

Json WaitingRoom::status() const {
  Json guests = Json::array();
  std::map<std::string, std::string> hosts = setup_.hosts();
  for (const Candidate& guest : guests_)
    guests.push_back({{"name", guest.worker.name},
                      {"host", hosts[guest.worker.name]},
                      {"device", guest.worker.device},
                      {"endpoint", guest.worker.endpoint},
                      {"free_bytes", guest.bytes_free}});
  return {{"name", setup_.name},
          {"model", setup_.model},
          {"up_seconds", seconds(now() - since_)},
          {"phase", loads_ ? "loading" : "waiting"},
          {"waiting", missing_},
          {"needed_bytes", needed_},
          {"free_bytes", free_},
          {"guests", guests},
          {"workers", Json::array()}};
}

}  // namespace potluck
