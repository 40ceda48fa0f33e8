// One value of A and one of B at a time, at every place of both: the product has one value, or none
// where the two do not meet. Then matrices of whole numbers, whose products are exact; and each
// value that a load or a copy brings, which says where it comes from. What is wrong is named by the
// lane and the word that hold it.
#include <random>
#include <string>

#include "tests/gpu_check/check.h"
#include "tests/gpu_check/raw_card.h"
#include "topology/base/dtype.h"

namespace potluck {
namespace {

constexpr int kRows = 16;                // of A
constexpr int kNamed = 6;                // wrong values of a check that are named
constexpr int kWarp = 32;                // lanes
constexpr int kMatrices = 4, kSide = 8;  // that one instruction loads

struct F16 {
  using Value = uint16_t;
  using Sum = float;
  using Products = gpu::MmaF16Products;
  static constexpr const char* kName = "f16";
  static constexpr int kPerWord = 2;
  static int depth(const gpu::MmaShapeOf& shape) { return shape.f16_depth; }
  static Value value(int whole) { return f16_from_f32(static_cast<float>(whole)); }
};

struct S8 {
  using Value = int8_t;
  using Sum = int32_t;
  using Products = gpu::MmaS8Products;
  static constexpr const char* kName = "int8";
  static constexpr int kPerWord = 4;
  static int depth(const gpu::MmaShapeOf& shape) { return shape.s8_depth; }
  static Value value(int whole) { return static_cast<int8_t>(whole); }
};

std::string place_text(int row, int column) {
  return "(" + std::to_string(row) + ", " + std::to_string(column) + ")";
}

// Where the vendors' documents have the values of A, B and C: PTX ("Matrix fragments for
// mma.m16n8k16" and "… m16n8k32"), and RDNA3 (7.9), where columns are 16.
struct Places {
  bool has_units, mirrors;
  int per_word;

  std::string a(int row, int k) const {
    const int word = k / per_word;
    return "A " + place_text(row, k) +
           (mirrors ? at(row, word, k) : at(row % 8 * 4 + word % 4, row / 8 + word / 4 * 2, k));
  }
  std::string b(int k, int column) const {
    const int word = k / per_word;
    return "B " + place_text(k, column) +
           (mirrors ? at(column, word, k) : at(column * 4 + word % 4, word / 4, k));
  }
  std::string c(int row, int column) const {
    const int lane = mirrors ? column + row % 2 * 16 : row % 8 * 4 + column / 2;
    const int sum = mirrors ? row / 2 : row / 8 * 2 + column % 2;
    return "C " + place_text(row, column) +
           (has_units ? " in lane " + std::to_string(lane) + ", sum " + std::to_string(sum) : "");
  }

 private:
  std::string at(int lane, int word, int k) const {
    if (!has_units) return "";
    return " in lane " + std::to_string(lane) + ", word " + std::to_string(word) + ", value " +
           std::to_string(k % per_word);
  }
};

// Wrong values of one check, of which the first are named.
class Wrongs final {
 public:
  Wrongs(Check& check, std::string name) : check_(check), name_(std::move(name)) {}

  void add(const std::string& what) {
    if (count_++ < kNamed) check_.report.fail("fragments", name_ + ": " + what);
  }
  void report(Values values) {
    values.push_back({"wrong_values", double(count_)});
    check_.report.add("fragments", name_, values);
  }

 private:
  Check& check_;
  const std::string name_;
  int count_ = 0;
};

// Products of whole numbers, one after another.
template <typename Type>
struct Batch {
  int depth, columns;
  std::vector<int> a, b, c;  // [products, …]

  void add(const std::vector<int>& one_a, const std::vector<int>& one_b) {
    a.insert(a.end(), one_a.begin(), one_a.end());
    b.insert(b.end(), one_b.begin(), one_b.end());
    for (int r = 0; r < kRows; ++r)
      for (int column = 0; column < columns; ++column) {
        int sum = 0;
        for (int k = 0; k < depth; ++k) sum += one_a[r * depth + k] * one_b[k * columns + column];
        c.push_back(sum);
      }
  }
  int products() const { return static_cast<int>(c.size()) / (kRows * columns); }
  int one_hot() const { return kRows * depth * columns; }
};

// Row and depth of A's value run over all places; B's column does, and its depth is A's or the
// next.
template <typename Type>
void add_one_hot(Batch<Type>& batch) {
  for (int place = 0; place < kRows * batch.depth; ++place)
    for (int column = 0; column < batch.columns; ++column) {
      const int k = place % batch.depth;
      std::vector<int> a(kRows * batch.depth), b(batch.depth * batch.columns);
      a[place] = 3;
      b[k * batch.columns + column] = 5;
      b[(k + 1) % batch.depth * batch.columns + (column + 1) % batch.columns] = 7;
      batch.add(a, b);
    }
}

template <typename Type>
void add_drawn(Batch<Type>& batch, uint32_t seed) {
  std::mt19937 random(seed);
  const auto draw = [&](int count) {
    std::vector<int> values(count);
    for (int& v : values) v = static_cast<int>(random() % 33) - 16;
    return values;
  };
  for (int i = 0; i < 64; ++i)
    batch.add(draw(kRows * batch.depth), draw(batch.depth * batch.columns));
}

template <typename Type>
std::vector<typename Type::Value> values_of(const std::vector<int>& whole) {
  std::vector<typename Type::Value> values;
  for (int v : whole) values.push_back(Type::value(v));
  return values;
}

// The product's operands where it is one-hot.
template <typename Type>
std::string operands_of(const Batch<Type>& batch, const Places& places, int product) {
  if (product >= batch.one_hot()) return "drawn values";
  const int place = product / batch.columns, column = product % batch.columns;
  const int k = place % batch.depth;
  return "3 at " + places.a(place / batch.depth, k) + ", 5 at " + places.b(k, column);
}

template <typename Type>
void check_type(Check& check, RawCard& card, const gpu::MmaShapeOf& shape) {
  const bool mirrors = shape.columns == kRows;
  const Places places{shape.has_mma != 0, mirrors, Type::kPerWord};
  Batch<Type> batch{Type::depth(shape), shape.columns, {}, {}, {}};
  add_one_hot(batch);
  add_drawn(batch, check.options.seed);
  const auto a = values_of<Type>(batch.a), b = values_of<Type>(batch.b);
  auto* c = card.make<typename Type::Sum>(batch.c.size());
  card.launch(typename Type::Products{card.put(std::span(a)), card.put(std::span(b)), c},
              batch.products() / gpu::kMmaProductsOfBlock);
  const auto found = card.get(c, batch.c.size());
  const int each = kRows * shape.columns;
  const std::string unit = !shape.has_mma ? "product, " : mirrors ? "wmma, " : "mma.sync, ";
  Wrongs wrongs(check, unit + Type::kName);
  for (int i = 0; i < std::ssize(batch.c); ++i)
    if (const int expected = batch.c[i]; found[i] != expected)
      wrongs.add(places.c(i % each / shape.columns, i % shape.columns) + " holds " +
                 std::to_string(found[i]) + ", expected " + std::to_string(expected) + "; " +
                 operands_of(batch, places, i / each));
  wrongs.report(
      {{"matrix_units", shape.has_mma ? "yes" : "no"}, {"products", double(batch.products())}});
}

// A value is the number of its place in four matrices of 8 × 8, of which a word has two.
std::string number_text(uint32_t value) {
  if (value >= kMatrices * kSide * kSide) return std::to_string(value);
  return place_text(value % (kSide * kSide) / kSide, value % kSide) + " of matrix " +
         std::to_string(value / (kSide * kSide));
}

// PTX ("Warp-level matrix load instruction: ldmatrix"): lane l has of each matrix the values
// (l / 4, 2·(l % 4)) and the next, or those of its transpose.
void check_loads(Check& check, RawCard& card) {
  constexpr int kWords = kWarp * kMatrices;
  auto* on_card = card.make<uint32_t>(2 * kWords);
  card.launch(gpu::MatrixLoads{on_card}, 1);
  const std::vector<uint32_t> words = card.get(on_card, 2 * kWords);
  for (const bool transposed : {false, true}) {
    Wrongs wrongs(check, transposed ? "ldmatrix.x4.trans" : "ldmatrix.x4");
    for (int i = 0; i < 2 * kWords; ++i) {
      const int lane = i / (2 * kMatrices), m = i / 2 % kMatrices, half = i % 2;
      const uint32_t value = words[transposed * kWords + i / 2] >> (16 * half) & 0xffff;
      const int row = lane / 4, column = lane % 4 * 2 + half;
      const uint32_t expected =
          m * kSide * kSide + (transposed ? column * kSide + row : row * kSide + column);
      if (value != expected)
        wrongs.add("lane " + std::to_string(lane) + ", word " + std::to_string(m) + ", value " +
                   std::to_string(half) + " holds " + number_text(value) + ", expected " +
                   number_text(expected));
    }
    wrongs.report({{"values", double(2 * kWords)}});
  }
}

void check_copies(Check& check, RawCard& card) {
  constexpr int kCount = gpu::kCopyGroups * gpu::kSharedCopyThreads * 16;
  std::vector<uint8_t> from(kCount), expected(kCount);
  std::mt19937 random(check.options.seed);
  for (int i = 0; i < kCount; ++i) {
    from[i] = 1 + random() % 255;
    const int word = i / 16, threads = gpu::kSharedCopyThreads;
    expected[i] = gpu::is_copied(word / threads, word % threads) ? from[i] : 0;
  }
  auto* to = card.make<uint8_t>(kCount);
  card.launch(gpu::SharedCopies{card.put(std::span<const uint8_t>(from)), to}, 1);
  const std::vector<uint8_t> found = card.get(to, kCount);
  Wrongs wrongs(check, "copy16");
  for (int i = 0; i < kCount; ++i)
    if (found[i] != expected[i])
      wrongs.add("group " + std::to_string(i / 16 / gpu::kSharedCopyThreads) + ", thread " +
                 std::to_string(i / 16 % gpu::kSharedCopyThreads) + ", byte " +
                 std::to_string(i % 16) + " is " + std::to_string(found[i]) + ", expected " +
                 std::to_string(expected[i]));
  wrongs.report({{"bytes", double(kCount)}});
}

}  // namespace

void check_fragments(Check& check) {
  RawCard card(check.driver);
  auto* shape_on_card = card.make<gpu::MmaShapeOf>(1);
  card.launch(gpu::MmaShape{shape_on_card}, 1);
  const gpu::MmaShapeOf shape = card.get(shape_on_card, 1).front();
  check_type<F16>(check, card, shape);
  check_type<S8>(check, card, shape);
  if (shape.has_mma && shape.columns != kRows) check_loads(check, card);
  check_copies(check, card);
}

}  // namespace potluck
