// Replays traces through head and stage on the card: each step is conditioned on the recorded
// logits of the one before, so that differences do not grow.
#include "tests/gpu_check/golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "shard/head.h"
#include "shard/stage.h"
#include "tests/gpu_check/check.h"
#include "topology/base/fault.h"
#include "topology/model/gguf.h"

namespace potluck {
namespace {

constexpr uint64_t kSession = 1;
// Exact products in another order of sums, and what the reference itself loses in bf16
// (tests/golden/README.md).
constexpr double kExactMost = 5e-4, kEntropyMost = 1e-4;
constexpr double kFastMost = 1.6, kFastWorst = 2.5;

struct Loss {
  double max_abs = 0, entropy = 0, vs_bf16 = 0, vs_bf16_worst = 0;
  int steps = 0, other_argmax = 0;
};

class TraceFile final {
 public:
  explicit TraceFile(const std::string& path) : path_(path), in_(path, std::ios::binary) {
    if (!in_) throw Fault(FaultKind::input, "cannot read " + path, Fix{"give --golden its folder"});
  }
  template <typename Value>
  std::vector<Value> read(uint64_t offset, uint64_t count) {
    std::vector<Value> values(count);
    in_.seekg(static_cast<std::streamoff>(offset));
    in_.read(reinterpret_cast<char*>(values.data()),
             static_cast<std::streamsize>(count * sizeof(Value)));
    if (!in_) throw Fault(FaultKind::input, path_ + " is too short");
    return values;
  }

 private:
  std::string path_;
  std::ifstream in_;
};

Plan plan_of(const ModelSpec& spec, Precision precision, int longest) {
  Plan plan = plan_local(spec, {spec.layer_count()});
  const bool exact = precision == Precision::exact;
  plan.precision = precision;
  plan.stream = exact ? DType::f32 : DType::bf16;
  plan.kv = exact ? DType::f32 : DType::f16;
  plan.chunk = longest;
  return plan;
}

int longest_encode(const GoldenTrace& trace) {
  uint64_t longest = 1;
  for (const GoldenOp& op : trace.ops)
    if (!op.step) longest = std::max(longest, op.ids_count);
  return static_cast<int>(longest);
}

class Replay final {
 public:
  Replay(Check& check, const GoldenTrace& trace, Precision precision)
      : trace_(trace),
        source_(open_gguf(check.options.golden + "/" + trace.model)),
        spec_(source_->spec()),
        file_(check.options.golden + "/" + trace.tensors),
        plan_(plan_of(spec_, precision, longest_encode(trace))),
        backend_(make_card_backend(check, precision)),
        head_(*source_, plan_, *backend_),
        stage_(*source_, plan_, {0, spec_.layer_count()}, *backend_),
        before_(head_.new_soft()),
        after_(head_.new_soft()) {
    stage_.kv().open(kSession);
  }

  Loss run() {
    for (const GoldenOp& op : trace_.ops) op.step ? step(op) : encode(op);
    loss_.vs_bf16 /= loss_.steps;
    return loss_;
  }

 private:
  Segment segment(Mode mode, int rows) const {
    Segment s;
    s.mode = mode;
    s.slot = stage_.kv().slot(kSession);
    s.position = length_;
    s.rows = rows;
    return s;
  }

  // From the head to the stage, and back again.
  void through_stage(const Segment& s) {
    const size_t bytes = static_cast<size_t>(s.rows) * spec_.hidden * sizeof(float);
    const Tensor own = head_.workspace().x, other = stage_.workspace().x;
    backend_->copy(own, 0, other, 0, bytes);
    stage_.forward(std::span(&s, 1));
    backend_->copy(other, 0, own, 0, bytes);
  }

  void encode(const GoldenOp& op) {
    const auto ids = file_.read<int32_t>(op.ids, op.ids_count);
    const Segment s = segment(Mode::encode, static_cast<int>(ids.size()));
    const Tensor none;
    head_.embed(std::span(&s, 1), ids, std::span(&none, 1));
    through_stage(s);
    backend_->wait();
    stage_.kv().advance(kSession, s.rows);
    length_ += s.rows;
  }

  void step(const GoldenOp& op) {
    const auto ids = file_.read<int32_t>(op.ids, op.ids_count);
    if (op.conditioned) {
      for (float& z : recorded_) z = z / temperature_;
      head_.soft_from_logits(recorded_.data(), spec_.canvas, before_);
    }
    temperature_ = op.temperature;
    Segment s = segment(Mode::denoise, spec_.canvas);
    s.inverse_temperature = 1.0 / temperature_;
    const Tensor soft = op.conditioned ? before_ : Tensor{};
    head_.embed(std::span(&s, 1), ids, std::span(&soft, 1));
    through_stage(s);
    const size_t vocab = spec_.vocab;
    std::vector<float> logits(spec_.canvas * vocab);
    const Candidates answer =
        head_
            .answer(std::span(&s, 1), std::span(&after_, 1),
                    [&](int64_t first, int64_t count, const float* tile) {
                      for (int t = 0; t < spec_.canvas; ++t)
                        std::copy_n(tile + t * count, count, logits.begin() + t * vocab + first);
                    })
            .front();
    recorded_ = file_.read<float>(op.logits, logits.size());
    compare(op, logits, answer);
  }

  void compare(const GoldenOp& op, const std::vector<float>& logits, const Candidates& answer) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const double d = std::fabs(static_cast<double>(logits[i]) - recorded_[i]);
      if (!(d <= loss_.max_abs)) loss_.max_abs = d;
      difference += d * d;
      size += static_cast<double>(recorded_[i]) * recorded_[i];
    }
    const auto entropy = file_.read<float>(op.entropy, spec_.canvas);
    for (int t = 0; t < spec_.canvas; ++t) {
      const auto row = recorded_.begin() + static_cast<int64_t>(t) * spec_.vocab;
      loss_.other_argmax += std::max_element(row, row + spec_.vocab) - row != answer.argmax[t];
      loss_.entropy = std::max<double>(loss_.entropy, std::fabs(answer.entropy[t] - entropy[t]));
    }
    const double lost = std::sqrt(difference / size) / op.bf16_rms_rel;
    loss_.vs_bf16 += lost;
    loss_.vs_bf16_worst = std::max(loss_.vs_bf16_worst, lost);
    ++loss_.steps;
  }

  const GoldenTrace& trace_;
  std::unique_ptr<ModelSource> source_;
  const ModelSpec& spec_;
  TraceFile file_;
  Plan plan_;
  std::unique_ptr<Backend> backend_;
  Head head_;
  Stage stage_;
  Tensor before_, after_;
  std::vector<float> recorded_;
  double temperature_ = 1;
  int length_ = 0;
  Loss loss_;
};

bool is_right(const Loss& loss, Precision precision) {
  if (precision == Precision::exact)
    return loss.max_abs <= kExactMost && loss.entropy <= kEntropyMost && loss.other_argmax == 0;
  return loss.vs_bf16 <= kFastMost && loss.vs_bf16_worst <= kFastWorst;
}

void check_trace(Check& check, const GoldenTrace& trace, Precision precision) {
  const bool exact = precision == Precision::exact;
  const std::string name = std::string(trace.name) + (exact ? ", exact" : ", fast");
  const Loss loss = Replay(check, trace, precision).run();
  check.report.add("golden", name,
                   {{"steps", double(loss.steps)},
                    {"max_abs", loss.max_abs},
                    {"entropy", loss.entropy},
                    {"vs_bf16", loss.vs_bf16},
                    {"worst", loss.vs_bf16_worst},
                    {"other_argmax", double(loss.other_argmax)}});
  if (is_right(loss, precision)) return;
  check.report.fail("golden", name + ": the logits are off by " + std::to_string(loss.max_abs) +
                                  ", the entropies by " + std::to_string(loss.entropy) + ", " +
                                  std::to_string(loss.vs_bf16) +
                                  " times what the reference loses in bf16");
}

}  // namespace

void check_golden(Check& check) {
  for (const GoldenTrace& trace : golden_traces()) {
    if ((check.options.quick || check.tiny()) && &trace != &golden_traces().front()) break;
    if (!check.has_time("golden", trace.name)) return;
    for (const Precision precision : {Precision::exact, Precision::fast})
      check_trace(check, trace, precision);
  }
}

}  // namespace potluck
