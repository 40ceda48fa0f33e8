// The table of known cards, and how it is read for a model.
#include "topology/cluster/known_cards.h"

#include <algorithm>
#include <cctype>

#include "topology/base/suggest.h"
#include "topology/model/tensor_table.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/step_time.h"

namespace potluck {
namespace {

// No card has run potluck yet. The 3060, 3090, 4090, 7900 XTX and H100 are the expected times of
// kernels/gpu/ROOFLINE.md, layers apart from the head. The 3080 is made from the 3090, and the 4060
// Ti and the 5090 from the 4090, part by part: products by processors and clock, experts by
// bandwidth. The CPU is a desktop's of eight cores, at 1.5 TFLOP/s.
constexpr KnownCard kCards[] = {
    {"3060", "cuda", 12, {4.25, 5.38}, {49.2, 49.2}},
    {"3080", "cuda", 10, {2.13, 2.66}, {27.9, 27.9}},
    {"3090", "cuda", 24, {1.77, 2.20}, {23.3, 23.3}},
    {"4060 Ti", "cuda", 16, {4.06, 5.48}, {46.9, 46.9}},
    {"4090", "cuda", 24, {1.18, 1.58}, {12.5, 12.5}},
    {"5090", "cuda", 32, {0.79, 1.02}, {9.9, 9.9}},
    {"7900 XTX", "hip", 24, {1.72, 1.94}, {28.7, 21.6}},
    {"H100", "cuda", 80, {0.60, 0.62}, {13.7, 8.1}},
    {"8-core CPU", "cpu", 0, {43, 43}, {400, 400}},
};

// Weights of the released model, and bits of one in its two files.
constexpr double kSlidingWeights = 814e6, kFullWeights = 829e6, kHeadWeights = 756e6;
constexpr double kBits[] = {5.2, 8.5};
constexpr double kUsable = 0.9;  // of a card's memory; its driver and its owner's screen have some

struct Size {
  double weights = 0;
  double bits = 0;  // of a weight
};

Size size_of(const ModelSource& source, const std::vector<TensorNeed>& needs) {
  Size size;
  double bytes = 0;
  for (const TensorNeed& need : needs)
    if (const TensorInfo* tensor = find_tensor(source, need.name)) {
      size.weights += tensor->elements();
      bytes += tensor->bytes;
    }
  size.bits = bytes * 8 / std::max(size.weights, 1.0);
  return size;
}

// Between the two files, and beyond the larger one, a time grows with the bits of a weight; below
// the smaller one products take the time, whatever the weights are stored in.
double scaled_ms(const double (&ms)[2], const Size& size, double released_weights) {
  const double share = std::max((size.bits - kBits[0]) / (kBits[1] - kBits[0]), 0.0);
  return (ms[0] + share * (ms[1] - ms[0])) * size.weights / released_weights;
}

// Blanks and dashes stand alone between words, and cut no number: "30 90" is no 3090.
bool is_written_well(std::string_view name) {
  const auto is_word = [](unsigned char c) { return c < 0x80 && std::isalnum(c); };
  const auto is_digit = [](unsigned char c) { return c < 0x80 && std::isdigit(c); };
  for (size_t i = 0; i < name.size(); ++i) {
    if (is_word(name[i])) continue;
    if ((name[i] != ' ' && name[i] != '-') || i == 0 || i + 1 == name.size()) return false;
    if (!is_word(name[i - 1]) || (is_digit(name[i - 1]) && is_digit(name[i + 1]))) return false;
  }
  return !name.empty();
}

std::string plain_name(std::string_view name) {
  std::string plain;
  for (unsigned char c : name)
    if (std::isalnum(c)) plain += std::tolower(c);
  for (const char* prefix : {"nvidia", "geforce", "amd", "radeon", "rtx", "rx"})
    if (plain.rfind(prefix, 0) == 0) plain.erase(0, std::string_view(prefix).size());
  return plain;
}

}  // namespace

std::span<const KnownCard> known_cards() {
  return kCards;
}

const KnownCard* find_card(const std::string& name) {
  if (!is_written_well(name)) return nullptr;
  for (const KnownCard& card : kCards)
    if (plain_name(card.name) == plain_name(name)) return &card;
  return nullptr;
}

std::string card_suggestion(const std::string& name) {
  std::vector<std::string_view> names;
  for (const KnownCard& card : kCards) names.push_back(card.name);
  return suggestion(name, names);
}

DeviceSpeed assumed_speed(const KnownCard& card, const ModelSource& source) {
  const ModelSpec& spec = source.spec();
  const auto layer = [&](bool full, double released_weights) {
    const auto typical = typical_layer(source, full);
    if (!typical) return 0.0;
    return scaled_ms(card.layer_ms, size_of(source, layer_tensors(spec, *typical)),
                     released_weights);
  };
  DeviceSpeed speed;
  speed.sliding_layer_ms = layer(false, kSlidingWeights);
  speed.full_layer_ms = layer(true, kFullWeights);
  speed.head_ms = scaled_ms(card.head_ms, size_of(source, head_tensors(spec)), kHeadWeights);
  speed.source = Source::assumed;
  return speed;
}

void assume_cards(ClusterSpec& cluster, const ModelSource& source) {
  for (HostSpec& host : cluster.hosts)
    for (DeviceSpec& device : host.devices) {
      const KnownCard* card = device.card.empty() ? nullptr : find_card(device.card);
      if (!card) continue;
      if (!device.speed) device.speed = assumed_speed(*card, source);
      if (device.memory_bytes || card->memory_gb == 0) continue;
      device.memory_bytes = card->memory_gb * kUsable * (uint64_t{1} << 30);
      device.memory_source = Source::assumed;
    }
}

}  // namespace potluck
