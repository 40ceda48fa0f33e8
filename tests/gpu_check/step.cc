// The stage takes its rows from the head's workspace by a copy on the card: no hop is measured.
#include "tests/gpu_check/step.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "topology/model/fingerprint.h"

namespace potluck {
namespace {

constexpr uint64_t kSession = 1;
constexpr int kLayers = 30;
// Scratch, K and V, and a matrix that is held twice while it is laid out anew.
constexpr uint64_t kBytesBeside = uint64_t{2} << 30;

// The first `used` of the experts, drawn without giving one back, by their weights.
void choose(const std::vector<double>& weight, int used, std::mt19937& random,
            std::vector<int32_t>& chosen) {
  std::vector<std::pair<double, int32_t>> keys;
  std::uniform_real_distribution<double> uniform(1e-12, 1);
  for (size_t e = 0; e < weight.size(); ++e)
    keys.emplace_back(-std::log(uniform(random)) / weight[e], static_cast<int32_t>(e));
  std::partial_sort(keys.begin(), keys.begin() + used, keys.end());
  for (int k = 0; k < used; ++k) chosen.push_back(keys[k].second);
}

Plan plan_of(const ModelSpec& spec, int prompt, Precision precision) {
  Plan plan = plan_local(spec, {spec.layer_count()});
  plan.precision = precision;
  plan.chunk = spec.canvas;
  plan.ctx_size = prompt + 2 * spec.canvas;
  return plan;
}

uint64_t bytes_of(const ModelSource& source) {
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : source.tensors()) bytes += tensor.bytes;
  return bytes;
}

std::unique_ptr<ModelSource> model_of(const Check& check, Mix mix, int layers) {
  const std::string shape = check.tiny() ? "nano?vocab=300&hidden=256&layers=" : "released?layers=";
  return make_card_model(shape + std::to_string(layers), mix, check.options.seed);
}

}  // namespace

std::vector<int32_t> expert_choices(const ModelSpec& spec, int rows, Routing routing,
                                    uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int> rank(spec.experts);
  std::iota(rank.begin(), rank.end(), 1);
  std::shuffle(rank.begin(), rank.end(), random);
  std::vector<double> weight;
  for (const int r : rank) weight.push_back(routing == Routing::zipf ? 1.0 / r : 1.0);
  std::vector<int32_t> chosen;
  for (int t = 0; t < rows; ++t) choose(weight, spec.experts_used, random, chosen);
  return chosen;
}

RoutedBackend::RoutedBackend(std::unique_ptr<Backend> below, const ModelSpec& spec, uint32_t seed)
    : ForwardingBackend(std::move(below)),
      spec_(spec),
      seed_(seed),
      chosen_(allocate(sizeof(int32_t) * spec.canvas * spec.experts_used)) {
  choose(Routing::uniform);
}

void RoutedBackend::choose(Routing routing) {
  const std::vector<int32_t> chosen = expert_choices(spec_, spec_.canvas, routing, seed_);
  upload(chosen.data(), chosen.size() * sizeof(int32_t), chosen_, 0);
}

void RoutedBackend::route(const Route& op) {
  ForwardingBackend::route(op);
  const size_t slots = static_cast<size_t>(op.rows) * op.used;
  copy(chosen_, 0, op.expert, 0, slots * sizeof(int32_t));
}

StepModel step_model(const Check& check, Mix mix, uint64_t bytes_free) {
  const int wanted = check.tiny() ? 3 : kLayers;
  const uint64_t one = bytes_of(*model_of(check, mix, 1)), two = bytes_of(*model_of(check, mix, 2));
  int layers = wanted;
  const uint64_t room = bytes_free > kBytesBeside ? bytes_free - kBytesBeside : 0;
  if (!check.tiny() && bytes_of(*model_of(check, mix, wanted)) > room)
    layers = room < one ? 0 : 1 + static_cast<int>((room - one) / (two - one));
  return {layers ? model_of(check, mix, layers) : nullptr, layers, wanted};
}

CardStep::CardStep(const ModelSource& source, Backend& backend, int prompt, Precision precision)
    : spec_(source.spec()),
      backend_(backend),
      prompt_(prompt),
      plan_(plan_of(spec_, prompt, precision)),
      head_(source, plan_, backend),
      stage_(source, plan_, {0, spec_.layer_count()}, backend),
      before_(head_.new_soft()),
      after_(head_.new_soft()) {
  stage_.kv().open(kSession);
  std::mt19937 random(1);
  for (int i = 0; i < spec_.canvas; ++i)
    ids_.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(spec_.vocab)));
}

Segment CardStep::segment(Mode mode, int position, int rows) const {
  Segment s;
  s.mode = mode;
  s.slot = stage_.kv().slot(kSession);
  s.position = position;
  s.rows = rows;
  s.inverse_temperature = 1.25f;
  s.key = {.seed = 1, .answer = 0, .canvas = 0, .step = 1};
  return s;
}

void CardStep::pass(const Segment& s, Tensor soft) {
  head_.embed(std::span(&s, 1), std::span(ids_).first(s.rows), std::span(&soft, 1));
  const size_t bytes = static_cast<size_t>(s.rows) * spec_.hidden * sizeof(float);
  backend_.copy(head_.workspace().x, 0, stage_.workspace().x, 0, bytes);
  stage_.forward(std::span(&s, 1));
  if (s.mode == Mode::denoise)
    backend_.copy(stage_.workspace().x, 0, head_.workspace().x, 0, bytes);
}

void CardStep::encode_prompt() {
  for (int at = 0; at < prompt_; at += spec_.canvas)
    pass(segment(Mode::encode, at, std::min(spec_.canvas, prompt_ - at)), {});
  backend_.wait();
}

void CardStep::encode_canvas() {
  pass(segment(Mode::encode, prompt_, spec_.canvas), {});
  backend_.wait();
}

void CardStep::denoise() {
  const Segment s = segment(Mode::denoise, prompt_, spec_.canvas);
  pass(s, before_);
  answer_ = head_.answer(std::span(&s, 1), std::span(&after_, 1)).front();
}

std::optional<uint64_t> CardStep::digest_of_last() {
  std::vector<float> soft(static_cast<size_t>(spec_.canvas) * spec_.hidden);
  backend_.download(after_, soft.size() * sizeof(float), soft.data());
  backend_.wait();
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(soft.begin(), soft.end(), finite) ||
      !std::all_of(answer_.entropy.begin(), answer_.entropy.end(), finite))
    return {};
  uint64_t digest = digest_bytes(soft.data(), soft.size() * sizeof(float));
  digest = digest_bytes(answer_.sample.data(), answer_.sample.size() * sizeof(int32_t), digest);
  return digest_bytes(answer_.entropy.data(), answer_.entropy.size() * sizeof(float), digest);
}

}  // namespace potluck
