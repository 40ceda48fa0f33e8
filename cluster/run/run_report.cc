// Formats what a request did, as lines for people and as JSON.
#include "cluster/run/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cluster/cli/statistics.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

struct Figures {
  double tokens_per_s, steps_a_canvas, step_ms, steady_tokens_per_s;
};

// The steady rate is C / ((K + 1)·t): a canvas of C tokens takes K steps and one commit, which
// takes about a step's time.
Figures figures_of(const RequestResult& r, int canvas) {
  Figures f{};
  const double steps = std::accumulate(r.steps.begin(), r.steps.end(), 0.0);
  f.tokens_per_s = static_cast<double>(r.ids.size()) / std::max(r.total_seconds, 1e-9);
  f.steps_a_canvas = r.steps.empty() ? 0 : steps / static_cast<double>(r.steps.size());
  f.step_ms = median(r.step_ms);
  f.steady_tokens_per_s = canvas / ((f.steps_a_canvas + 1) * std::max(f.step_ms, 1e-6) / 1e3);
  return f;
}

// The peer that sent hop i: the coordinator the first, then each peer of the ring in order.
std::string sender(const std::vector<Hop>& hops, size_t i, const Plan& plan) {
  return plan.name_of(i == 0 ? kCoordinatorPeer : hops[i - 1].peer);
}

std::string happened_line(const RequestResult& r, const Figures& f) {
  return fmt::format("{} in {:.2f} s: {:.1f} tokens/s", count_text(r.ids.size(), "token"),
                     r.total_seconds, f.tokens_per_s);
}

// Says why the answer is cut off; empty if it ended by itself.
std::string cut_line(const RequestResult& r, int wanted) {
  if (r.stopped_by_end_id) return "";
  const bool by_wish = wanted != kUntilTheEnd && std::ssize(r.ids) >= wanted;
  return fmt::format("the answer is cut off after {}: {}", count_text(r.ids.size(), "token"),
                     by_wish ? "raise -n (-1: no limit)" : "the context is full; raise -c");
}

nlohmann::json stall_json(const Stall& stall) {
  return {{"why", stall.why},
          {"seconds", stall.total()},
          {"detect_seconds", stall.detect_seconds},
          {"replan_seconds", stall.replan_seconds},
          {"load_seconds", stall.load_seconds},
          {"encode_seconds", stall.encode_seconds},
          {"lost_seconds", stall.lost_seconds}};
}

std::string links_line(const RequestResult& r, const Plan& plan) {
  std::string links = "bytes a step:";
  for (size_t i = 0; i < r.last_hops.size(); ++i)
    links += fmt::format("{} {} → {} {}", i ? "," : "", sender(r.last_hops, i, plan),
                         plan.name_of(r.last_hops[i].peer),
                         bytes_text(r.last_hops[i].payload_bytes + r.last_hops[i].header_bytes));
  return links;
}

}  // namespace

std::vector<std::string> report_lines(const RequestResult& r, const Plan& plan, int canvas,
                                      int wanted) {
  const Figures f = figures_of(r, canvas);
  std::vector<std::string> lines = {
      happened_line(r, f),
      fmt::format(
          "{} {} of {}, steps K = {}, {:.1f} ms a step (median); steady rate {}/((K+1)·t) = "
          "{:.1f} tokens/s at K = {:.1f}, t = {:.1f} ms",
          r.steps.size(), r.steps.size() == 1 ? "canvas" : "canvases", canvas,
          fmt::join(r.steps, ", "), f.step_ms, canvas, f.steady_tokens_per_s, f.steps_a_canvas,
          f.step_ms),
      links_line(r, plan)};
  for (const Stall& stall : r.stalls) lines.push_back(stall_text(stall));
  if (const std::string cut = cut_line(r, wanted); !cut.empty()) lines.push_back(cut);
  return lines;
}

std::vector<std::string> chat_report_lines(const RequestResult& r, int wanted) {
  std::vector<std::string> lines = {fmt::format(
      "{}, steps K = {}", happened_line(r, figures_of(r, 0)), fmt::join(r.steps, ", "))};
  for (const Stall& stall : r.stalls) lines.push_back(stall_text(stall));
  if (const std::string cut = cut_line(r, wanted); !cut.empty()) lines.push_back(cut);
  return lines;
}

std::string empty_line(const RequestResult& r, const AnswerText& text) {
  if (!trimmed(text.answer).empty()) return "";
  std::string why = fmt::format("none of its {} is text", count_text(r.ids.size(), "token"));
  if (r.ids.size() <= 1) why = "the model ended it at once";
  if (!trimmed(text.thought).empty()) why = "the model has only thought";
  return "the answer is empty: " + why;
}

nlohmann::json report_json(const RequestResult& r, const Plan& plan, int canvas) {
  const Figures f = figures_of(r, canvas);
  nlohmann::json links = nlohmann::json::array(), stages = nlohmann::json::array(),
                 stalls = nlohmann::json::array();
  for (const Stall& stall : r.stalls) stalls.push_back(stall_json(stall));
  for (size_t i = 0; i < r.last_hops.size(); ++i) {
    const Hop& hop = r.last_hops[i];
    links.push_back({{"from", sender(r.last_hops, i, plan)},
                     {"to", plan.name_of(hop.peer)},
                     {"payload_bytes", hop.payload_bytes},
                     {"header_bytes", hop.header_bytes},
                     {"queue_us", hop.queue_us},
                     {"compute_us", hop.compute_us}});
  }
  for (const WorkerPlan& stage : plan.stages)
    stages.push_back({{"name", stage.name}, {"layers", {stage.layers.begin, stage.layers.end}}});
  return {{"ids", r.ids},
          {"steps", r.steps},
          {"step_ms", r.step_ms},
          {"tokens", r.ids.size()},
          {"seconds", r.total_seconds},
          {"encode_seconds", r.encode_seconds},
          {"tokens_per_s", f.tokens_per_s},
          {"step_ms_median", f.step_ms},
          {"steady_tokens_per_s", f.steady_tokens_per_s},
          {"stopped_by_end_id", r.stopped_by_end_id},
          {"links_a_step", links},
          {"stalls", stalls},
          {"plan",
           {{"stages", stages},
            {"stream", dtype_name(plan.stream)},
            {"kv", dtype_name(plan.kv)},
            {"ctx_size", plan.ctx_size},
            {"chunk", plan.chunk}}}};
}

}  // namespace potluck
