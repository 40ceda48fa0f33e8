// Starts, feeds, ends and fails requests, and opens and closes their sessions.
#include "coordinator/request_table.h"

#include <algorithm>
#include <string>
#include <utility>

#include "topology/base/check.h"
#include "topology/plan/cost_model.h"

namespace potluck {

uint64_t RequestTable::submit(Request request) {
  const uint64_t id = next_request_++;
  waiting_.push_back({id, std::move(request)});
  ordered_ = true;
  return id;
}

void RequestTable::cancel(uint64_t request) {
  to_cancel_.push_back(request);
  ordered_ = true;
}

void RequestTable::close_session(uint64_t session) {
  to_close_.push_back(session);
  ordered_ = true;
}

void RequestTable::obey(Outbox& out) {
  ordered_ = false;
  for (uint64_t id : std::exchange(to_cancel_, {})) {
    const size_t dropped = std::erase_if(waiting_, [&](const Queued& q) { return q.id == id; });
    const Fault canceled(FaultKind::canceled, "canceled");
    if (running_.count(id)) fail_request(id, canceled);
    if (dropped && events_.failed) events_.failed(id, canceled);
  }
  for (uint64_t session : std::exchange(to_close_, {})) {
    const auto user = std::find_if(running_.begin(), running_.end(), [&](const auto& each) {
      return each.second->session() == session;
    });
    if (user != running_.end())
      fail_request(user->first, Fault(FaultKind::canceled, "its session was closed"));
    end_session(session, out);
  }
}

void RequestTable::ring_is_empty(Time now, const Stall& stall, Time noticed, Outbox& out) {
  sessions_.lose_encoded();
  for (uint64_t session : sessions_.ids()) send(MessageKind::open, session, out);
  for (const auto& [id, generation] : running_) generation->begin_again(now, stall, noticed);
}

void RequestTable::send(MessageKind kind, uint64_t session, Outbox& out) const {
  Message m;
  m.header.kind = kind;
  m.header.destination = kHeadPeer;
  m.header.session = session;
  out.messages.push_back(std::move(m));
}

// A request that has finished makes room for one that waits.
void RequestTable::advance(Time now, bool hold, Outbox& out) {
  std::vector<Generation*> finished;
  for (const auto& [id, generation] : running_)
    if (generation->finished()) finished.push_back(generation.get());
  for (Generation* generation : finished) finish(now, *generation, out);
  if (!hold) start_waiting(out);
  for (const auto& [id, generation] : running_)
    if (!hold || !generation->rests()) generation->pump(now, events_, out.messages);
}

bool RequestTable::rests() const {
  return std::all_of(running_.begin(), running_.end(),
                     [](const auto& each) { return each.second->rests(); });
}

// Finds the request that a reply is about. A fault of opening a session names the session alone.
Generation* RequestTable::find(const Header& header) {
  for (auto& [id, generation] : running_) {
    const bool of_session = header.kind == MessageKind::fault && header.request == 0;
    if (generation->session() == header.session &&
        (of_session || static_cast<uint32_t>(id) == header.request))
      return generation.get();
  }
  return nullptr;
}

double RequestTable::reply(Time now, const Message& message) {
  const Header& h = message.header;
  Generation* generation = find(h);
  if (!generation) return 0;  // its request was canceled
  const double waited = seconds(now - generation->waiting_since());
  try {
    if (h.kind == MessageKind::encode_done)
      generation->encode_done(now, h, events_);
    else
      generation->candidates(now, message, events_);
  } catch (const Fault& fault) {
    fail_request(generation->id(), fault);
  }
  return waited;
}

bool RequestTable::fail(const Header& about, const Fault& fault) {
  if (const Generation* generation = find(about))
    fail_request(generation->id(), fault);
  else if (about.session == 0)
    return false;
  return true;
}

void RequestTable::fail_request(uint64_t id, const Fault& fault) {
  const auto found = running_.find(id);
  CHECK(found != running_.end(), id);
  to_close_.push_back(found->second->session());
  running_.erase(found);
  if (events_.failed) events_.failed(id, fault);
}

void RequestTable::fail_all(const Fault& fault) {
  while (!running_.empty()) fail_request(running_.begin()->first, fault);
  for (const Queued& queued : std::exchange(waiting_, {}))
    if (events_.failed) events_.failed(queued.id, fault);
}

void RequestTable::start_waiting(Outbox& out) {
  while (!waiting_.empty() && can_start(waiting_.front().request)) {
    Queued queued = std::move(waiting_.front());
    waiting_.pop_front();
    const uint64_t id = queued.id;
    try {
      start_one(std::move(queued), out);
    } catch (const Fault& fault) {
      if (events_.failed) events_.failed(id, fault);
    }
  }
}

// A new session needs room for one; an open one must be free.
bool RequestTable::can_start(const Request& request) const {
  if (request.session == 0) return sessions_.count() < static_cast<size_t>(plan_.sessions);
  return std::none_of(running_.begin(), running_.end(),
                      [&](const auto& each) { return each.second->session() == request.session; });
}

void RequestTable::start_one(Queued queued, Outbox& out) {
  check_request(queued.request, spec_, plan_);
  Session& session = session_for(queued.request, out);
  try {
    running_[queued.id] =
        std::make_unique<Generation>(queued.id, session, std::move(queued.request), spec_, plan_);
  } catch (const Fault&) {
    running_.erase(queued.id);
    if (session.ids.empty()) end_session(session.id, out);
    throw;
  }
}

// Gives the session that the request names, cut back to what the prompt begins with too; a new one
// if nothing is named, or if that session no longer holds what it would need.
Session& RequestTable::session_for(const Request& request, Outbox& out) {
  if (request.session) {
    Session* named = sessions_.find(request.session);
    if (!named)
      throw Fault(FaultKind::input, "session " + std::to_string(request.session) + " is not open");
    if (go_back(*named, static_cast<int>(common_length(*named, request.prompt)), out))
      return *named;
    end_session(request.session, out);
  }
  Session& fresh = sessions_.open();
  send(MessageKind::open, fresh.id, out);
  return fresh;
}

// Tokens that a ring which was loaded anew has not encoded again need no cut.
bool RequestTable::go_back(Session& session, int length, Outbox& out) const {
  if (length < session.kv_length) {
    if (length == 0 || length < least_kept(spec_, plan_, session.most)) return false;
    send(MessageKind::truncate, session.id, out);
    out.messages.back().header.kv_length_before = length;
    session.kv_length = length;
  }
  session.ids.resize(static_cast<size_t>(length));
  return true;
}

void RequestTable::finish(Time now, Generation& generation, Outbox& out) {
  const RequestResult result = generation.result(now);
  const uint64_t id = generation.id(), session = generation.session();
  const bool keep = generation.request().keep_session;
  running_.erase(id);
  if (!keep) end_session(session, out);
  if (events_.finished) events_.finished(id, result);
}

// `cancel` overtakes what is queued at every worker; `close` goes to the head, which passes it on
// behind the data already sent and before what follows.
void RequestTable::end_session(uint64_t session, Outbox& out) {
  if (!sessions_.close(session)) return;
  for (PeerId worker = kHeadPeer; worker < stage_peer(plan_.stage_count()); ++worker) {
    send(MessageKind::cancel, session, out);
    out.messages.back().header.destination = worker;
  }
  send(MessageKind::close, session, out);
}

void RequestTable::check_deadlines(Time now, double limit) {
  for (const auto& [id, generation] : running_) {
    if (generation->waiting_since() == Time{}) continue;
    if (seconds(now - generation->waiting_since()) > limit)
      throw Fault(
          FaultKind::lost,
          "no answer from the ring for " + std::to_string(static_cast<int>(limit)) +
              " s while waiting for " + generation->waiting_for(),
          Fix{"if the machines are this slow, raise the step timeout", Setting::step_timeout});
    generation->tell_wait(now, events_);
  }
}

}  // namespace potluck
