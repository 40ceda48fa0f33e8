// Loads one layer, another and the head, each on a backend of its own, and times passes of a
// canvas.
#include "cluster/ring/device_speed.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "backends/make_backend.h"
#include "cluster/cli/statistics.h"
#include "cluster/ring/ring_plan.h"
#include "coordinator/canvas.h"
#include "shard/head.h"
#include "shard/stage.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

constexpr uint64_t kSession = 1;
constexpr auto kRunsTime = std::chrono::seconds(1);  // after which no other run begins
constexpr int kRunsLeast = 2;
constexpr int kRunsMost = 10;

// In a ring a device rests while the others compute, after which it is slower: others have used its
// caches, and its clock is low. So it rests for as long as half of the released model's layers
// take, but no longer than it takes to forget.
constexpr int kRestPasses = 15;
constexpr Duration kRestMost = std::chrono::milliseconds(200);

Duration time_of(const std::function<void()>& run) {
  const Time begin = now();
  run();
  return now() - begin;
}

// Runs several times, each after a rest. warm: how long such a run has just taken.
void repeat(Duration warm, const std::function<void()>& run) {
  Duration total{};
  for (int i = 0; i < kRunsMost && (i < kRunsLeast || total < kRunsTime); ++i) {
    std::this_thread::sleep_for(std::min(kRestPasses * warm, kRestMost));
    total += time_of(run);
  }
}

// The plan of a ring whose one stage has this layer alone.
Plan plan_of(const ModelSpec& spec, const DeviceRoom& room, int layer, int threads) {
  Plan plan;
  plan.ctx_size = std::min(spec.context_max, kSpeedPrompt + 2 * spec.canvas);
  plan.chunk = std::min(kChunkDefault, plan.ctx_size);
  plan.head.device = room.device;
  plan.head.threads = threads;
  plan.stages.resize(1);
  plan.stages[0].device = room.device;
  plan.stages[0].threads = threads;
  plan.stages[0].layers = {layer, layer + 1};
  set_stream(plan, false);
  return plan;
}

int prompt_of(const ModelSpec& spec, const Plan& plan) {
  return std::min(kSpeedPrompt, plan.ctx_size - spec.canvas) / plan.chunk * plan.chunk;
}

std::unique_ptr<Backend> backend_of(const DeviceRoom& room, int threads) {
  return make_backend({room.device, Precision::fast, {.threads = threads}});
}

// The layer of a kind whose size is in the middle, which is not the last one (that does less for a
// prompt) where there is another; -1 if there is none of the kind.
int median_layer(const ModelSource& source, bool full) {
  const ModelSpec& spec = source.spec();
  const std::vector<uint64_t> bytes = layer_bytes(source);
  std::vector<int> layers;
  for (int i = 0; i < spec.layer_count(); ++i)
    if (spec.layers[i].full == full) layers.push_back(i);
  if (layers.size() > 1 && layers.back() + 1 == spec.layer_count()) layers.pop_back();
  if (layers.empty()) return -1;
  std::stable_sort(layers.begin(), layers.end(), [&](int a, int b) { return bytes[a] < bytes[b]; });
  return layers[(layers.size() - 1) / 2];
}

// Rows as they come by wire, in bf16, all of a size.
std::vector<uint16_t> made_up_rows(int64_t values) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> rows(values);
  for (uint16_t& value : rows) value = bf16_from_f32(normal(random));
  return rows;
}

// Medians, for a ring meets the machine as it mostly is: what else computes there takes its share
// of steps, too.
struct LayerTimes {
  double layer_ms = 0, message_ms = 0;
};

class LayerRun final {
 public:
  LayerRun(const ModelSource& source, const Plan& plan, Backend& backend)
      : spec_(source.spec()),
        plan_(plan),
        backend_(backend),
        stage_(source, plan, plan.stages[0].layers, backend),
        rows_(made_up_rows(int64_t{std::max(plan.chunk, spec_.canvas)} * spec_.hidden)) {
    stage_.kv().open(kSession);
  }

  void encode() {
    Segment s;
    s.slot = stage_.kv().slot(kSession);
    s.rows = plan_.chunk;
    for (; s.position < prompt_of(spec_, plan_); s.position += s.rows) {
      receive(s.rows);
      stage_.forward(std::span(&s, 1));
      stage_.kv().advance(kSession, s.rows);
    }
    backend_.wait();
  }

  LayerTimes denoise() {
    Segment s;
    s.mode = Mode::denoise;
    s.slot = stage_.kv().slot(kSession);
    s.position = stage_.kv().length(kSession);
    s.rows = spec_.canvas;
    const auto compute = [&] {
      stage_.forward(std::span(&s, 1));
      backend_.wait();
    };
    std::vector<double> layers, messages;
    receive(s.rows);
    repeat(time_of(compute), [&] {
      const Duration received = time_of([&] { receive(s.rows); });
      layers.push_back(milliseconds(time_of(compute)));
      const Duration sent = time_of([&] { send(s.rows); });
      messages.push_back(milliseconds(received + sent));
    });
    return {median(layers), median(messages)};
  }

 private:
  void receive(int rows) {
    backend_.unpack(rows_.data(), DType::bf16, rows, spec_.hidden, stage_.workspace().x);
    backend_.wait();
  }
  void send(int rows) {
    std::vector<uint16_t> wire(int64_t{rows} * spec_.hidden);
    backend_.pack(stage_.workspace().x, DType::bf16, rows, spec_.hidden, wire.data());
    backend_.wait();
  }

  const ModelSpec& spec_;
  const Plan& plan_;
  Backend& backend_;
  Stage stage_;
  const std::vector<uint16_t> rows_;
};

// Steps are self-conditioned, all but the first.
double head_ms(const ModelSource& source, const Plan& plan, Backend& backend) {
  const ModelSpec& spec = source.spec();
  Head head(source, plan, backend);
  const Tensor before = head.new_soft(), after = head.new_soft();
  Segment s;
  s.mode = Mode::denoise;
  s.position = prompt_of(spec, plan);
  s.rows = spec.canvas;
  s.inverse_temperature = 1 / spec.generation.t_max;
  const std::vector<int32_t> ids = initial_canvas({}, spec.canvas, spec.vocab);
  const auto step = [&](std::span<const Tensor> soft, const Tensor& soft_out) {
    head.embed(std::span(&s, 1), ids, soft);
    head.answer(std::span(&s, 1), std::span(&soft_out, 1));
  };
  std::vector<double> runs;
  repeat(time_of([&] { step({}, before); }), [&] {
    runs.push_back(milliseconds(time_of([&] { step(std::span(&before, 1), after); })));
  });
  return median(runs);
}

bool fits(const MemoryNeed& need, const DeviceRoom& room, const std::string& what,
          MeasuredSpeed& into) {
  if (need.total() <= room.bytes()) return true;
  add_to_list(into.left_out, what + " needs " + bytes_text(need.total()) + " of the " +
                                 bytes_text(room.bytes()) + " that may be taken");
  return false;
}

LayerTimes layer_times(const ModelSource& source, const DeviceRoom& room, int layer, int threads) {
  const Plan plan = plan_of(source.spec(), room, layer, threads);
  const std::unique_ptr<Backend> backend = backend_of(room, threads);
  LayerRun run(source, plan, *backend);
  run.encode();
  return run.denoise();
}

void measure_layers(const ModelSource& source, const DeviceRoom& room, int threads,
                    MeasuredSpeed& into) {
  for (const bool full : {false, true}) {
    const int layer = median_layer(source, full);
    if (layer < 0) continue;
    const Plan plan = plan_of(source.spec(), room, layer, threads);
    if (!fits(stage_need(source, plan, 0), room, full ? "a full layer" : "a sliding layer", into))
      continue;
    const LayerTimes times = layer_times(source, room, layer, threads);
    (full ? into.speed.full_layer_ms : into.speed.sliding_layer_ms) = times.layer_ms;
    into.speed.message_ms = times.message_ms;
  }
  DeviceSpeed& speed = into.speed;
  if (median_layer(source, true) < 0) speed.full_layer_ms = speed.sliding_layer_ms;
  if (median_layer(source, false) < 0) speed.sliding_layer_ms = speed.full_layer_ms;
}

void measure_head(const ModelSource& source, const DeviceRoom& room, int threads,
                  MeasuredSpeed& into) {
  const Plan plan = plan_of(source.spec(), room, 0, threads);
  if (!fits(head_need(source, plan), room, "the head", into)) return;
  const std::unique_ptr<Backend> backend = backend_of(room, threads);
  into.speed.head_ms = head_ms(source, plan, *backend);
}

}  // namespace

MeasuredSpeed measure_speed(const ModelSource& source, const DeviceRoom& room, int threads) {
  MeasuredSpeed measured;
  measured.speed.model = digest_text(spec_digest(source));
  measured.speed.source = Source::measured;
  try {
    measure_layers(source, room, threads, measured);
    measure_head(source, room, threads, measured);
  } catch (const Fault& fault) {
    measured.problem = fault.what();
  }
  return measured;
}

}  // namespace potluck
