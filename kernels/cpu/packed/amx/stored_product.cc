// Products in bf16 by TDPBF16PS with panels stored as integers: out = factor · Σ x · bf16(scale ·
// (q − zero) − minimum), where x is rounded to bf16 and sums are f32.
//
// A step of the panel is converted some steps before its tiles are read, between multiplications:
// AVX-512 and the tile unit work side by side, and memory brings the panel after this one. Up to 32
// rows, sums stay in tiles to the end and converted steps in L1; with more rows the bf16 panel is
// kept, in L2, for those that follow.
//
// For few rows memory is prefetched line by line as values are converted, straight to L1 (Q8_0's
// experts on one core, in turns: 102 to 125 ms when it was prefetched in bursts, to L2; 91 to 116
// since).
//
// Converting takes the same for any number of rows, 3.2 µs for 32 rows of 2816 columns (Xeon with
// AMX, 2026-11-26), where memory takes 5.5 to 7 to bring them.
#include <immintrin.h>

#include "kernels/cpu/packed/amx.h"
#include "kernels/cpu/packed/amx/bf16_layout.h"
#include "kernels/cpu/packed/amx/hardware_tiles.h"
#include "kernels/cpu/packed/amx/stored_panel.h"

namespace potluck::cpu::amx {
namespace {

constexpr int64_t kAhead = 3;  // steps: what was just stored is not read from L1 yet
constexpr int64_t kFar = 8;    // steps: memory is prefetched that long before
constexpr int64_t kNear = 8;   // converted steps kept of a product of one pair of tiles: 16 KB

// Columns of an unpacked slice; two terms have half as many: 256 rows of x are 720 KB then and stay
// in L2 from panel to panel.
constexpr int64_t kSlice = 1536;

template <typename Format>
class StoredSteps final {
 public:
  StoredSteps(const PanelProduct& p, const RowCut& cut)
      : panel_(p.panel),
        work_(p.work),
        steps_(tile_count(p.columns, kValues)),
        kept_(cut.tiles <= 2 ? kNear - 1 : -1),
        after_(p.next) {
    while (next_ < kAhead) convert_next();
  }

  const std::byte* operator[](int64_t step) {
    convert_next();
    return at(step);
  }

 private:
  std::byte* at(int64_t step) const { return work_ + (step & kept_) * kColumns * kStepBytes; }

  void convert_next() {
    if (next_ < steps_) convert_step<Format>(panel_, next_, at(next_), ahead(next_ + kFar));
    ++next_;
  }

  // The place of a step, in the panel after this one too.
  const std::byte* ahead(int64_t step) const {
    if (step < steps_) return panel_ + bytes_before<Format>(step);
    return after_ ? after_ + bytes_before<Format>(step - steps_) : nullptr;
  }

  const std::byte* panel_;
  std::byte* work_;
  int64_t steps_, kept_;
  const std::byte* after_;
  int64_t next_ = 0;
};

template <typename Format>
const float* factors_of(const std::byte* stored, int64_t columns) {
  return reinterpret_cast<const float*>(stored + blocks_bytes<Format>(columns));
}

template <typename Format, int kTerms>
void multiply_stored(const PanelProduct& product) {
  PanelProduct p = product;
  p.factor = factors_of<Format>(p.panel, p.columns);
  const RowCut cut{p.rows};
  HardwareTiles tiles(cut.height);
  multiply_bf16<kTerms>(p, term_bytes(p.columns), cut, StoredSteps<Format>(p, cut), tiles);
}

// The steps of an unpacked slice. Another is unpacked meanwhile, as evenly as can be, and what
// comes next is prefetched: the other slice kFar steps ahead, and the sums of the next pair of
// tiles.
template <typename Format>
class UnpackedSteps final {
 public:
  UnpackedSteps(const PanelProduct& p, const RowCut& cut, const StoredSlice& next)
      : panel_(p.panel),
        next_(next.stored),
        to_(p.work),
        at_(next.first / kValues),
        end_((next.first + next.count) / kValues),
        steps_(tile_count(p.columns, kValues)),
        asked_((cut.tiles + 1) / 2 * steps_),
        due_(end_ - at_),
        sums_(p, cut, steps_) {}
  ~UnpackedSteps() {
    while (at_ < end_) unpack_one();
  }
  UnpackedSteps(const UnpackedSteps&) = delete;

  const std::byte* operator[](int64_t step) {
    for (progress_ += due_; progress_ >= asked_ && at_ < end_; progress_ -= asked_) unpack_one();
    sums_.step();
    return panel_ + step * kColumns * kStepBytes;
  }

 private:
  // Prefetches rows of out, one pair of tiles ahead.
  class SumsAhead final {
   public:
    SumsAhead(const PanelProduct& p, const RowCut& cut, int64_t steps)
        : out_(p.out + 2 * cut.height * p.out_stride),
          stride_(p.out_stride),
          rows_(p.rows - 2 * cut.height),
          due_(2 * cut.height),
          steps_(steps) {}

    void step() {
      for (done_ += due_; done_ >= steps_ && rows_ > 0; done_ -= steps_, --rows_, out_ += stride_) {
        __builtin_prefetch(out_, 1);
        __builtin_prefetch(out_ + 16, 1);
      }
    }

   private:
    float* out_;
    int64_t stride_, rows_, due_, steps_, done_ = 0;
  };

  void unpack_one() {
    for (size_t i = bytes_before<Format>(at_ + kFar); i < bytes_before<Format>(at_ + kFar + 1);
         i += 64)
      __builtin_prefetch(next_ + i, 0, 2);
    convert_step<Format>(next_, at_++, to_);
    to_ += kColumns * kStepBytes;
  }

  const std::byte *panel_, *next_;
  std::byte* to_;
  int64_t at_, end_, steps_, asked_, due_, progress_ = 0;
  SumsAhead sums_;
};

template <typename Format>
void unpack_panel(const StoredSlice& own, std::byte* panel) {
  for (int64_t i = 0; i < own.count; i += kValues)
    convert_step<Format>(own.stored, (own.first + i) / kValues, panel + i * kColumns * 2);
}

template <typename Format, int kTerms>
void multiply_unpacked(const PanelProduct& product, const StoredSlice& own,
                       const StoredSlice& next) {
  PanelProduct p = product;
  p.factor = factors_of<Format>(own.stored, own.columns);
  const RowCut cut{p.rows};
  HardwareTiles tiles(cut.height);
  multiply_bf16<kTerms>(p, term_bytes(p.columns), cut, UnpackedSteps<Format>(p, cut, next), tiles);
}

template <typename Format, int kTerms>
PackedProduct product() {
  PackedProduct p = bf16_product(kTerms == 2);
  p.stored_bytes = stored_bytes<Format>;
  p.store_panel = store_panel<Format>;
  p.multiply_stored = multiply_stored<Format, kTerms>;
  p.slice = kSlice / kTerms;
  p.unpack_panel = unpack_panel<Format>;
  p.multiply_unpacked = multiply_unpacked<Format, kTerms>;
  return p;
}

}  // namespace

const PackedProduct* stored_product(DType type, bool fine) {
  return product_of_format(type, [fine]<typename Format>() -> const PackedProduct* {
    if constexpr (kIsGrid<Format> || kHasLevels<Format>) {
      return nullptr;
    } else {
      static const PackedProduct rough = product<Format, 1>(), of_two = product<Format, 2>();
      return fine ? &of_two : &rough;
    }
  });
}

}  // namespace potluck::cpu::amx
