// The tables are those of the PTX manual ("Matrix fragments for mma.m16n8k16" and "… m16n8k32") and
// of AMD's RDNA3 manual (7.9): they say which lane holds a value, where the kernels' own functions
// say which values a lane holds.
#include "tests/emulator/mma.h"

#include <array>
#include <stdexcept>
#include <string>

#include "tests/emulator/f16.h"
#include "tests/emulator/machine.h"

namespace potluck::emulator {
namespace {

struct F16 {
  using Value = float;
  using Sum = double;
  using Result = float;
  static constexpr int kPerWord = 2;
  static Value value(uint32_t word, int i) {
    return f16_value(static_cast<uint16_t>(word >> 16 * i));
  }
};

struct S8 {
  using Value = int8_t;
  using Sum = int32_t;
  using Result = int32_t;
  static constexpr int kPerWord = 4;
  static Value value(uint32_t word, int i) { return static_cast<int8_t>(word >> 8 * i); }
};

// A lane gives these: the values of its words of a, then of b.
template <typename Type, int kWordsA, int kWordsB>
struct Given {
  std::array<typename Type::Value, kWordsA * Type::kPerWord> a;
  std::array<typename Type::Value, kWordsB * Type::kPerWord> b;

  // By loops: TSan would take memcmp for the kernel's doing.
  bool operator==(const Given& other) const {
    bool all = true;
    for (size_t i = 0; i < a.size(); ++i) all = all && same(a[i], other.a[i]);
    for (size_t i = 0; i < b.size(); ++i) all = all && same(b[i], other.b[i]);
    return all;
  }

 private:
  using Value = typename Type::Value;
  static bool same(Value x, Value y) { return x == y || (x != x && y != y); }  // one NaN as another
};

template <typename Lane>
const Lane& of_lane(const std::byte* given, int lane) {
  return *reinterpret_cast<const Lane*>(given + lane * kExchangeBytesMax);
}

template <typename Type, typename Lane>
const std::byte* give(const uint32_t* a, const uint32_t* b, Site site) {
  Lane mine;
  static_assert(sizeof(Lane) <= kExchangeBytesMax);
  for (size_t i = 0; i < mine.a.size(); ++i)
    mine.a[i] = Type::value(a[i / Type::kPerWord], i % Type::kPerWord);
  for (size_t i = 0; i < mine.b.size(); ++i)
    mine.b[i] = Type::value(b[i / Type::kPerWord], i % Type::kPerWord);
  return exchange(&mine, sizeof(mine), site);
}

// PTX: eight words make the depth. Word w of a row of a, or of a column of b, is with lane
// 4 · (row % 8, or the column) + w % 4.
template <typename Type>
void mma(typename Type::Result* c, const uint32_t* a, const uint32_t* b, Site site) {
  constexpr int kPerWord = Type::kPerWord;
  using Lane = Given<Type, 4, 2>;
  const std::byte* given = give<Type, Lane>(a, b, site);
  const int lane = here().thread % kLanes;
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
    typename Type::Sum sum = c[i];
    for (int w = 0; w < 8; ++w) {
      const auto* in_a =
          of_lane<Lane>(given, row % 8 * 4 + w % 4).a.data() + (row / 8 + w / 4 * 2) * kPerWord;
      const auto* in_b = of_lane<Lane>(given, column * 4 + w % 4).b.data() + w / 4 * kPerWord;
      for (int k = 0; k < kPerWord; ++k) sum += static_cast<typename Type::Sum>(in_a[k]) * in_b[k];
    }
    c[i] = static_cast<typename Type::Result>(sum);
  }
}

// RDNA3: a lane holds a row of a, a column of b and every other row of a column of c.
template <typename Type>
void wmma(typename Type::Result* c, const uint32_t* a, const uint32_t* b, Site site) {
  using Lane = Given<Type, 16 / Type::kPerWord, 16 / Type::kPerWord>;
  const std::byte* given = give<Type, Lane>(a, b, site);
  const int lane = here().thread % kLanes;
  const Lane &mine = of_lane<Lane>(given, lane), &other = of_lane<Lane>(given, lane ^ 16);
  if (mine != other)
    throw std::logic_error("WMMA wants the same values of A and B in lanes " +
                           std::to_string(lane % 16) + " and " + std::to_string(lane % 16 + 16));
  for (int i = 0; i < 8; ++i) {
    const auto& in_a = of_lane<Lane>(given, 2 * i + lane / 16).a;
    const auto& in_b = of_lane<Lane>(given, lane % 16).b;
    typename Type::Sum sum = c[i];
    for (int k = 0; k < 16; ++k) sum += static_cast<typename Type::Sum>(in_a[k]) * in_b[k];
    c[i] = static_cast<typename Type::Result>(sum);
  }
}

[[noreturn]] void throw_at(const std::string& wrong, Site site) {
  throw std::logic_error(wrong + " (" + site.file_name() + ":" + std::to_string(site.line()) + ")");
}

}  // namespace

void mma_f16(float* c, const uint32_t* a, const uint32_t* b, Site site) {
  mma<F16>(c, a, b, site);
}

void mma_s8(int32_t* c, const uint32_t* a, const uint32_t* b, Site site) {
  mma<S8>(c, a, b, site);
}

void wmma_f16(float* c, const uint32_t* a, const uint32_t* b, Site site) {
  wmma<F16>(c, a, b, site);
}

void wmma_s8(int32_t* c, const uint32_t* a, const uint32_t* b, Site site) {
  wmma<S8>(c, a, b, site);
}

void check_matrix_units(bool has, Site site) {
  if (!has) throw_at("this card has no such matrix units", site);
}

void check_matrix_row(const void* row, Site site) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0)
    throw_at("a row of a matrix is not aligned to 16 bytes", site);
  if (!machine().block().shared().holds(row, 16))
    throw_at("a row of a matrix does not lie in a shared array of its block", site);
}

// PTX ("Warp-level matrix load instruction: ldmatrix"): row r of matrix m comes from lane 8·m + r.
void exchange_matrices(const uint16_t (&row)[8], bool transposed, uint32_t (&to)[4], Site site) {
  const std::byte* given = exchange(row, sizeof(row), site);
  const int lane = here().thread % kLanes, first = lane / 4, second = lane % 4 * 2;
  const auto value = [&](int matrix, int r, int column) -> uint32_t {
    return of_lane<std::array<uint16_t, 8>>(given, 8 * matrix + r)[column];
  };
  for (int m = 0; m < 4; ++m)
    to[m] = transposed ? value(m, second, first) | value(m, second + 1, first) << 16
                       : value(m, first, second) | value(m, first, second + 1) << 16;
}

}  // namespace potluck::emulator
