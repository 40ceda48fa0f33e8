// A card draws weights of each type as benches do, in two pieces that part within a word. All cards
// draw the same, so digests are known; and values are finite and as large as they are meant to be.
#include <cmath>
#include <string>

#include "kernels/cpu/reference/dequantize.h"
#include "tests/gpu_check/check.h"
#include "tests/gpu_check/drawn_weights.h"
#include "tests/gpu_check/raw_card.h"
#include "topology/model/fingerprint.h"

namespace potluck {
namespace {

constexpr int64_t kBlocks = 256, kColumns = 2816;
constexpr uint64_t kKey = 0x706f746c75636b;

struct Known {
  DType type;
  uint64_t digest;  // of kBlocks blocks
};
constexpr Known kKnown[] = {
    {DType::f16, 0x1cb56a8063dbd3a8},    {DType::bf16, 0xc47ae6587508d287},
    {DType::q8_0, 0xe1c16b0a207ead0b},   {DType::q4_0, 0x120b73ebc0c13a40},
    {DType::q5_0, 0x10b6282bf7aeda75},   {DType::q5_1, 0xec1ecfef1c876ea5},
    {DType::iq4_nl, 0x6635ac4eea6e260e}, {DType::q4_k, 0xb5724a306921cb75},
    {DType::q5_k, 0x3dace58b729a9b23},   {DType::q6_k, 0x7329cd70c5a709f1},
};

// The mean square of values whose variance is to be about 1 / columns, in parts of that: uniform
// levels times scales of [0.5, 1) have 7/12 of it, and levels that are uneven or have an offset
// have more or less.
constexpr double kLeast = 0.1, kMost = 2;

double mean_square(DType type, const std::vector<uint8_t>& blocks) {
  std::vector<float> values(kBlocks * block_shape(type).values);
  cpu::dequantize_row(type, reinterpret_cast<const std::byte*>(blocks.data()), values.data(),
                      std::ssize(values));
  double sum = 0;
  for (const float v : values) sum += double{v} * v;
  return sum / std::ssize(values) * kColumns;
}

void check_type(Check& check, RawCard& card, const Known& known) {
  const int64_t block = block_shape(known.type).bytes, bytes = kBlocks * block;
  const int64_t first = kBlocks / 2 * block + 2;
  auto* to = card.make<uint8_t>(bytes);
  const Drawn what{known.type, kColumns, kKey};
  draw_on_card(card.driver(), card.stream(), what, 0, first, to);
  draw_on_card(card.driver(), card.stream(), what, first, bytes - first, to + first);
  const std::vector<uint8_t> blocks = card.get(to, bytes);
  const std::string name = dtype_name(known.type);
  const double size = mean_square(known.type, blocks);
  const uint64_t digest = digest_bytes(blocks.data(), blocks.size());
  if (!(size >= kLeast && size <= kMost))
    check.report.fail("weights", name + ": the mean square of drawn values is " +
                                     std::to_string(size) + " of what it should be about");
  if (digest != known.digest)
    check.report.fail("weights", name + ": drawn bytes have the digest " + std::to_string(digest) +
                                     ", and " + std::to_string(known.digest) +
                                     " on all other cards");
  check.report.add("weights", name, {{"mean_square", size}});
}

}  // namespace

void check_weights(Check& check) {
  RawCard card(check.driver);
  for (const Known& known : kKnown) check_type(check, card, known);
}

}  // namespace potluck
