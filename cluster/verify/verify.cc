// Runs the recorded ops on head and stages and compares the results with the record.
#include "cluster/verify/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "backends/make_backend.h"
#include "cluster/ring/remote_stages.h"
#include "cluster/ring/ring_plan.h"
#include "cluster/ring/stages_beside.h"
#include "cluster/verify/tensor_file.h"
#include "shard/head.h"
#include "topology/base/fault.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/plan_yaml.h"

namespace potluck {
namespace {

using nlohmann::json;
constexpr uint64_t kTraceBytesMax = 16u << 20;
// The recorded x's are float32 sums in another order, for which a relative RMS of 1e-4 is fair.
constexpr double kLayerRmsMax = 1e-4;

double rms_rel(const std::vector<float>& ours, const std::vector<float>& theirs) {
  double difference = 0, reference = 0;
  for (size_t i = 0; i < theirs.size(); ++i) {
    const double d = static_cast<double>(ours[i]) - theirs[i];
    difference += d * d;
    reference += static_cast<double>(theirs[i]) * theirs[i];
  }
  return std::sqrt(difference / std::max(reference, 1e-300));
}

std::vector<int> split_of(const ModelSpec& spec, const VerifyOptions& options) {
  const int layers = spec.layer_count(), stages = std::ssize(options.devices);
  std::vector<int> split;
  if (options.cuts.empty() && stages > 1) {
    for (int i = 0; i < stages; ++i)
      split.push_back(layers * (i + 1) / stages - layers * i / stages);
    return split;
  }
  int begin = 0;
  for (int cut : options.cuts) {
    split.push_back(cut - begin);
    begin = cut;
  }
  split.push_back(layers - begin);
  if (std::any_of(split.begin(), split.end(), [](int n) { return n < 1; }))
    throw Fault(FaultKind::input, "--cut must rise within 1 to " + std::to_string(layers - 1));
  return split;
}

void set_devices(Plan& plan, const std::vector<std::string>& devices) {
  if (devices.size() > 1 && std::ssize(devices) != plan.stage_count())
    throw Fault(FaultKind::input, "--device names " + std::to_string(devices.size()) +
                                      " devices for " + std::to_string(plan.stage_count()) +
                                      " stages; name one, or one for each stage");
  for (int i = 0; i < plan.stage_count(); ++i)
    plan.stages[i].device = devices.size() > 1 ? devices[i] : devices.front();
}

Plan plan_of(const ModelSpec& spec, const VerifyOptions& options, int longest) {
  const std::vector<int> split = split_of(spec, options);
  Plan plan = options.plan.empty() ? plan_local(spec, split) : read_plan(options.plan, spec);
  if (options.plan.empty()) {
    plan.chunk = longest;
    set_devices(plan, options.devices);
  }
  if (options.chunk) plan.chunk = options.chunk;
  plan.precision = options.precision;
  if (options.plan.empty() || options.f32) set_stream(plan, options.f32.value_or(true));
  validate(plan, spec);
  return plan;
}

bool is_lossy(const Plan& plan) {
  const bool all_f32 =
      plan.stream == DType::f32 && plan.kv == DType::f32 && plan.head.hop_type == DType::f32 &&
      std::all_of(plan.stages.begin(), plan.stages.end(),
                  [](const WorkerPlan& stage) { return stage.hop_type == DType::f32; });
  return !all_f32 || plan.precision == Precision::fast;
}

// Runs a trace's ops on one session. The head is in this process; the stages are too, or are
// workers.
class Replay {
 public:
  Replay(std::shared_ptr<const ModelSource> source, const VerifyOptions& options, json trace,
         const TensorFile& tensors)
      : spec_(source->spec()),
        options_(options),
        trace_(std::move(trace)),
        tensors_(tensors),
        plan_(plan_of(spec_, options, longest_encode())),
        backend_(make_backend({.device = options.devices.front(),
                               .precision = options.precision,
                               .cpu = {.threads = options.threads, .isa = options.isa}})),
        head_(*source, plan_, *backend_) {
    if (options.hosts)
      remote_ = std::make_unique<RemoteStages>(source, plan_, *options.hosts);
    else
      beside_ = std::make_unique<StagesBeside>(*source, plan_, *backend_);
    soft_before_ = head_.new_soft();
    soft_after_ = head_.new_soft();
  }

  VerifyReport run() {
    for (const json& op : trace_.at("ops")) {
      if (op.at("op") == "encode")
        encode(op);
      else
        step(op);
      ++report_.ops;
    }
    if (report_.steps == 0) refuse("has no step to compare");
    report_.lossy = is_lossy(plan_);
    report_.rms_rel = std::sqrt(difference_ / std::max(reference_, 1e-300));
    report_.argmax_agree = report_.steps ? agree_ / rows_ : 1;
    report_.vs_bf16 = report_.steps ? vs_sum_ / report_.steps : 0;
    return report_;
  }

 private:
  int longest_encode() const {
    size_t longest = 1;
    for (const json& op : trace_.at("ops"))
      if (op.at("op") == "encode") longest = std::max(longest, tensors_.ids(op.at("ids")).size());
    return longest;
  }

  void through_stages(const Segment& segment, const Stage::LayerTap& tap) {
    remote_ ? through_links(segment)
            : beside_->through(std::span(&segment, 1), head_.workspace().x, tap);
  }

  void through_links(const Segment& segment) {
    const Tensor x = head_.workspace().x;
    std::vector<std::byte> wire(row_bytes(plan_.head.hop_type, spec_.hidden) * segment.rows);
    backend_->pack(x, plan_.head.hop_type, segment.rows, spec_.hidden, wire.data());
    backend_->wait();
    const Message back =
        remote_->through(segment, plan_.head.hop_type, own_payload(std::move(wire)));
    if (segment.mode == Mode::encode) return;
    backend_->unpack(back.payload.data, back.header.dtype, segment.rows, spec_.hidden, x);
    backend_->wait();
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw Fault(FaultKind::input, why, options_.trace);
  }

  // The ids of an op, which must be ids of the model.
  std::vector<int32_t> ids_of(const json& op) const {
    std::vector<int32_t> ids = tensors_.ids(op.at("ids"));
    for (int32_t id : ids)
      if (id < 0 || id >= spec_.vocab)
        refuse("has id " + std::to_string(id) + ", the model's vocabulary " +
               std::to_string(spec_.vocab) + "; this trace is of another model");
    return ids;
  }

  void encode(const json& op) {
    const std::vector<int32_t> ids = ids_of(op);
    const size_t chunk = plan_.chunk;
    for (size_t first = 0; first < ids.size(); first += chunk) {
      const size_t rows = std::min(chunk, ids.size() - first);
      Segment segment;
      segment.position = length_;
      segment.rows = rows;
      const Tensor none;
      head_.embed(std::span(&segment, 1), std::span(ids).subspan(first, rows), std::span(&none, 1));
      through_stages(segment, nullptr);
      length_ += segment.rows;
    }
    if (op.value("length_after", length_) != length_)
      refuse("says that " + std::to_string(op.at("length_after").get<int>()) +
             " tokens are encoded after op " + std::to_string(report_.ops) + "; there are " +
             std::to_string(length_));
  }

  Tensor previous_soft(const json& op) {
    if (op.at("self_condition") == "none") return {};
    if (!options_.free) {
      std::vector<float> z = recorded_;
      for (float& value : z) value = value / temperature_;
      head_.soft_from_logits(z.data(), spec_.canvas, soft_before_);
    }
    return soft_before_;
  }

  void step(const json& op) {
    const std::string name = op.at("logits");
    const Tensor soft = previous_soft(op);
    temperature_ = op.at("temperature").get<double>();
    if (!(temperature_ > 0)) refuse("has the temperature " + op.at("temperature").dump());
    const std::vector<int32_t> ids = ids_of(op);
    if (ids.size() != static_cast<size_t>(spec_.canvas))
      refuse("has a canvas of " + std::to_string(ids.size()) + ", the model one of " +
             std::to_string(spec_.canvas) + "; this trace is of another model");
    Segment segment;
    segment.mode = Mode::denoise;
    segment.position = length_;
    segment.rows = spec_.canvas;
    segment.inverse_temperature = 1.0 / temperature_;
    segment.key.canvas = report_.ops;
    head_.embed(std::span(&segment, 1), ids, std::span(&soft, 1));
    const std::string base = name.substr(0, name.rfind(".logits"));
    check_layer(base, 0, head_.workspace().x);
    through_stages(segment, [&](int layer, Tensor x) { check_layer(base, layer + 1, x); });
    std::vector<float> logits(spec_.canvas * static_cast<size_t>(spec_.vocab));
    const Candidates candidates =
        head_
            .answer(std::span(&segment, 1), std::span(&soft_after_, 1),
                    [&](int64_t first, int64_t count, const float* tile) {
                      for (int t = 0; t < spec_.canvas; ++t)
                        std::copy_n(tile + t * count, count,
                                    logits.begin() + static_cast<int64_t>(t) * spec_.vocab + first);
                    })
            .front();
    std::swap(soft_before_, soft_after_);
    recorded_ = tensors_.floats(name);
    if (recorded_.size() != logits.size())
      throw Fault(FaultKind::input, "tensor " + name + " has " + std::to_string(recorded_.size()) +
                                        " values; this model gives " +
                                        std::to_string(logits.size()));
    compare(op, logits, candidates, tensors_.floats(base + ".entropy"));
    check_ids(segment, logits, candidates);
  }

  void check_layer(const std::string& base, int index, Tensor x) {
    const std::string name = base + ".x" + std::to_string(index);
    if (!tensors_.has(name) || !report_.first_bad_layer.empty()) return;
    const std::vector<float> recorded = tensors_.floats(name);
    std::vector<float> ours(recorded.size());
    backend_->download(x, ours.size() * sizeof(float), ours.data());
    backend_->wait();
    const double off = rms_rel(ours, recorded);
    if (!is_lossy(plan_) && !options_.free && off > kLayerRmsMax)
      report_.first_bad_layer = name + ", off by " + std::to_string(off);
  }

  void compare(const json& op, const std::vector<float>& logits, const Candidates& candidates,
               const std::vector<float>& entropy) {
    double difference = 0, reference = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const double d = std::fabs(static_cast<double>(logits[i]) - recorded_[i]);
      difference += d * d;
      reference += static_cast<double>(recorded_[i]) * recorded_[i];
      if (!(d <= report_.max_abs)) {  // a NaN is worst of all
        report_.max_abs = d;
        report_.worst_op = report_.ops;
        report_.worst_row = static_cast<int>(i) / spec_.vocab;
        report_.worst_id = static_cast<int>(i) % spec_.vocab;
      }
    }
    for (int t = 0; t < spec_.canvas; ++t) {
      const auto row = recorded_.begin() + static_cast<int64_t>(t) * spec_.vocab;
      agree_ += std::max_element(row, row + spec_.vocab) - row == candidates.argmax[t];
      report_.entropy_max_abs =
          std::max<double>(report_.entropy_max_abs, std::fabs(candidates.entropy[t] - entropy[t]));
    }
    rows_ += spec_.canvas;
    difference_ += difference;
    reference_ += reference;
    const double ratio = std::sqrt(difference / reference) / op.at("bf16_rms_rel").get<double>();
    vs_sum_ += ratio;
    report_.vs_bf16_worst = std::max(report_.vs_bf16_worst, ratio);
    ++report_.steps;
  }

  // Each id against what the recorded logits choose, which ours are off from by so much in a row.
  void check_ids(const Segment& segment, const std::vector<float>& logits,
                 const Candidates& candidates) {
    const size_t vocab = spec_.vocab;
    report_.argmax.insert(report_.argmax.end(), candidates.argmax.begin(), candidates.argmax.end());
    report_.sample.insert(report_.sample.end(), candidates.sample.begin(), candidates.sample.end());
    for (int t = 0; t < spec_.canvas; ++t) {
      const std::span recorded = std::span<const float>(recorded_).subspan(t * vocab, vocab);
      double off = 0;
      for (size_t i = 0; i < vocab; ++i)
        off = std::max<double>(off, std::fabs(logits[t * vocab + i] - recorded[i]));
      add_row({recorded, segment.inverse_temperature, segment.key, t}, candidates.argmax[t],
              candidates.sample[t], off, report_.ids);
    }
  }

  const ModelSpec& spec_;
  const VerifyOptions& options_;
  const json trace_;
  const TensorFile& tensors_;
  const Plan plan_;
  std::unique_ptr<Backend> backend_;
  Head head_;
  std::unique_ptr<StagesBeside> beside_;
  std::unique_ptr<RemoteStages> remote_;
  Tensor soft_before_, soft_after_;
  std::vector<float> recorded_;
  double temperature_ = 1;
  int length_ = 0;
  VerifyReport report_;
  double difference_ = 0, reference_ = 0, agree_ = 0, rows_ = 0, vs_sum_ = 0;
};

std::string beside(const std::string& trace) {
  const size_t dot = trace.rfind(".json");
  if (dot == std::string::npos)
    throw Fault(FaultKind::input, "--trace " + trace + " is not a .json file");
  return trace.substr(0, dot) + ".safetensors";
}

}  // namespace

VerifyReport verify(std::shared_ptr<const ModelSource> source, const VerifyOptions& options) {
  try {
    const json trace = json::parse(read_text_file(options.trace, kTraceBytesMax));
    const TensorFile tensors(options.tensors.empty() ? beside(options.trace) : options.tensors);
    return Replay(std::move(source), options, trace, tensors).run();
  } catch (const json::exception& error) {
    throw Fault(FaultKind::input, error.what(), options.trace);
  }
}

json to_json(const VerifyReport& r) {
  return {
      {"ops", r.ops},
      {"steps", r.steps},
      {"max_abs", r.max_abs},
      {"rms_rel", r.rms_rel},
      {"vs_bf16", r.vs_bf16},
      {"vs_bf16_worst", r.vs_bf16_worst},
      {"lossy", r.lossy},
      {"argmax_agree", r.argmax_agree},
      {"entropy_max_abs", r.entropy_max_abs},
      {"ids",
       {{"chosen", r.ids.chosen},
        {"differ", r.ids.differ},
        {"unexplained", r.ids.unexplained},
        {"argmax", r.argmax},
        {"sample", r.sample}}},
      {"worst", {{"op", r.worst_op}, {"row", r.worst_row}, {"id", r.worst_id}}},
      {"first_bad_layer", r.first_bad_layer}};
}

}  // namespace potluck
