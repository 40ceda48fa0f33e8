// Drives the pipeline of a loaded ring until a request has its result.
#include "cluster/ring/ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "cluster/cli/interrupt.h"
#include "cluster/ring/link_keys.h"
#include "cluster/ring/ring_plan.h"
#include "topology/base/text.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/plan_check.h"
#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {

constexpr double kTrimSeconds = 10;  // between two looks at the workers' logs

Plan checked(Plan plan, const ModelSpec& spec) {
  validate(plan, spec);
  return plan;
}

}  // namespace

Ring::Ring(std::shared_ptr<const ModelSource> source, Plan plan, RingSetup setup)
    : source_(std::move(source)),
      plan_(checked(std::move(plan), source_->spec())),
      setup_(std::move(setup)),
      hosts_(source_, setup_.hosts),
      repair_(source_, hosts_, setup_.log),
      transport_(hosts_.transport()) {
  start_workers();
  PipelineOptions options;
  options.incarnation = std::random_device{}() | 1u;
  options.ring_secret = random_bytes(kRingSecretBytes);
  options.step_timeout_seconds = setup_.step_timeout_seconds;
  options.replan = replan();
  if (setup_.hosts.sharer || setup_.guests_fetch) options.fetch_seconds = kFetchSecondsMax;
  options.may_begin_without = cluster_repair_ && setup_.may_begin_without;
  if (setup_.hosts.insecure_plaintext && has_tcp(plan_)) setup_.log(kPlainLinks);
  pipeline_ = std::make_unique<Pipeline>(source_->spec(), fingerprint_of(*source_),
                                         pipeline_events(), options);
  apply(pipeline_->start(now(), plan_), *transport_);
  run_until([this] {
    if (setup_.while_loading) setup_.while_loading();
    return loaded_ || interrupt_signal() != 0;
  });
  throw_failure();
  if (!loaded_)
    throw hosts_.with_last_words(
        Fault(FaultKind::canceled, "interrupted while the ring was loading"), plan_);
}

void Ring::start_workers() {
  if (!setup_.cluster || !setup_.recovery || setup_.hosts.hosting != Hosting::processes)
    return hosts_.start_all(plan_);
  cluster_repair_.emplace(*setup_.cluster, source_, hosts_, repair_,
                          RepairLog{setup_.log, setup_.warn});
  plan_ = cluster_repair_->begin(plan_, setup_.may_begin_without);
}

Ring::~Ring() {
  draining_.clear();  // who waits is told of by its owner
  pipeline_->shut_down();
  try {
    run_until([] { return false; });
  } catch (const std::exception& error) {
    setup_.log(std::string("the workers were not told that the ring ends: ") + error.what());
  }
  transport_.reset();
  hosts_.stop();
  if (setup_.verbose)
    for (const auto& [name, text] : hosts_.logs()) setup_.log("log of " + name + ":\n" + text);
}

PipelineEvents Ring::pipeline_events() {
  PipelineEvents events;
  events.start.ready = [this](PeerId worker, const Ready& ready) {
    ready_[worker] = ready;
    setup_.log(fmt::format("{} of {} free on {}, loaded in {:.1f} s",
                           need_text(*source_, plan_, worker), bytes_text(ready.bytes_free),
                           ready.device, ready.load_seconds));
    if (!setup_.verbose) return;
    setup_.log(plan_.worker(worker).name + " is ready: " + bytes_text(ready.weight_bytes) +
               " of weights, " + bytes_text(ready.kv_bytes) + " of KV");
  };
  events.start.waiting = [this](const std::string& what, double seconds) {
    setup_.log(fmt::format("waiting for {} ({:.0f} s so far)", what, seconds));
  };
  events.start.loaded = [this] {
    loaded_ = true;
    changing_ = false;
    if (cluster_repair_) cluster_repair_->is_loaded();
  };
  events.requests = request_events();
  events.ring_failed = [this](const Fault& fault) { ring_fault_ = fault; };
  events.ring_disturbed = [this](const Fault& fault) { setup_.log(fault.what()); };
  events.ring_changed = [this](const Plan& plan) {
    plan_ = plan;
    changing_ = true;
    why_kept_.clear();
    setup_.log("the ring goes on as " + ring_text(plan));
  };
  events.ring_stays = [this](const std::string& why) { keep_all(why); };
  events.left_out = [this](const std::string& worker, const std::string& why) {
    setup_.log(fmt::format("{} has no part in the ring: {}", worker, why));
  };
  return events;
}

// Ranks of MPI end with the first of them.
Replan Ring::replan() {
  if (!setup_.recovery || setup_.hosts.job) return {};
  if (cluster_repair_)
    return [this](const RingChange& change, WhyNot& why_not) {
      return cluster_repair_->plan_after(change, why_not);
    };
  return [this](const RingChange& change, WhyNot& why_not) {
    return repair_.plan_after(change, why_not);
  };
}

// Each report goes to whoever has asked the request.
RequestEvents Ring::request_events() {
  RequestEvents events;
  const auto pass_on = [this](auto RequestEvents::*event) {
    return [this, event](const auto& report) {
      const auto& to = asked_.at(report.request).*event;
      if (to) to(report);
    };
  };
  events.waiting = pass_on(&RequestEvents::waiting);
  events.encoding = pass_on(&RequestEvents::encoding);
  events.step = pass_on(&RequestEvents::step);
  events.canvas_done = pass_on(&RequestEvents::canvas_done);
  events.stalled = pass_on(&RequestEvents::stalled);
  events.finished = [this](uint64_t request, const RequestResult& result) {
    const RequestEvents asked = take(request);
    if (asked.finished) asked.finished(request, result);
  };
  events.failed = [this](uint64_t request, const Fault& fault) {
    const RequestEvents asked = take(request);
    if (asked.failed) asked.failed(request, hosts_.with_last_words(fault, plan_));
  };
  return events;
}

RequestEvents Ring::take(uint64_t request) {
  return std::move(asked_.extract(request).mapped());
}

void Ring::run_until(const std::function<bool()>& done) {
  while (running_ && !done()) {
    running_ = run_once(*pipeline_, *transport_);
    invite_found();
  }
}

void Ring::invite_found() {
  if (!cluster_repair_ || !loaded_) return;
  for (const Candidate& each : cluster_repair_->found_again(now(), plan_)) invite(each);
}

void Ring::set_aside(const std::set<std::string>& workers, Drained done) {
  throw_failure();
  if (cluster_repair_) cluster_repair_->set_aside(workers, plan_);
  pipeline_->set_aside(workers);
  draining_.push_back({workers, std::move(done)});
}

void Ring::take_back(const std::set<std::string>& workers) {
  throw_failure();
  if (cluster_repair_) cluster_repair_->take_back(workers);
  pipeline_->take_back(workers);
  for (const Draining& each : std::exchange(draining_, {}))
    if (each.workers == workers)
      each.done("it was taken back before the ring could change");
    else
      draining_.push_back(each);
}

// Tells those who wait for a ring without some workers that this is one.
void Ring::tell_drained() {
  if (draining_.empty() || changing_) return;
  for (const Draining& each : std::exchange(draining_, {})) {
    const bool some = std::any_of(each.workers.begin(), each.workers.end(), [&](const auto& name) {
      return plan_.peer_named(name).has_value();
    });
    if (some)
      draining_.push_back(each);
    else
      each.done("");
  }
}

// One that wants to leave asks again and again.
void Ring::keep_all(const std::string& why) {
  if (why != std::exchange(why_kept_, why)) setup_.log(why);
  for (const Draining& each : std::exchange(draining_, {})) {
    if (cluster_repair_) cluster_repair_->take_back(each.workers);
    pipeline_->take_back(each.workers);
    each.done(why);
  }
}

std::optional<double> Ring::step_ms() const {
  return cluster_repair_ ? cluster_repair_->step_ms(plan_) : std::nullopt;
}

uint64_t Ring::submit(Request request, RequestEvents events) {
  throw_failure();
  const uint64_t id = pipeline_->submit(std::move(request));
  asked_[id] = std::move(events);
  return id;
}

void Ring::trim_logs() {
  if (now() - logs_trimmed_ < from_seconds(kTrimSeconds)) return;
  logs_trimmed_ = now();
  hosts_.trim_logs();
}

bool Ring::turn(Time deadline) {
  trim_logs();
  if (running_) running_ = run_once(*pipeline_, *transport_, deadline);
  tell_drained();
  invite_found();
  return !ring_fault_;
}

void Ring::throw_failure() {
  if (ring_fault_) throw hosts_.with_last_words(*ring_fault_, plan_);
}

RequestResult Ring::ask(Request request, RequestEvents events) {
  std::optional<RequestResult> result;
  std::optional<Fault> failure;
  events.finished = [&](uint64_t, const RequestResult& found) { result = found; };
  events.failed = [&](uint64_t, const Fault& fault) { failure = fault; };
  const uint64_t id = submit(std::move(request), std::move(events));
  bool canceled = false;
  run_until([&] {
    if (interrupt_signal() && !std::exchange(canceled, true)) cancel(id);
    return result || failure;
  });
  if (failure) throw *failure;
  return *std::move(result);
}

}  // namespace potluck
