// One value of A and one of B at a time, at every place of both: the product has one value, or none
// where the two do not meet. Then matrices of whole numbers, whose products are exact.
#include <random>
#include <string>

#include "tests/gpu_check/check.h"
#include "tests/gpu_check/raw_card.h"
#include "topology/base/dtype.h"

namespace potluck {
namespace {

struct F16 {
  using Value = uint16_t;
  using Sum = float;
  using Products = gpu::MmaF16Products;
  static constexpr const char* kName = "f16";
  static int depth(const gpu::MmaShapeOf& shape) { return shape.f16_depth; }
  static Value value(int whole) { return f16_from_f32(static_cast<float>(whole)); }
};

struct S8 {
  using Value = int8_t;
  using Sum = int32_t;
  using Products = gpu::MmaS8Products;
  static constexpr const char* kName = "int8";
  static int depth(const gpu::MmaShapeOf& shape) { return shape.s8_depth; }
  static Value value(int whole) { return static_cast<int8_t>(whole); }
};

constexpr int kRows = 16;  // of A

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

template <typename Type>
void check_type(Check& check, RawCard& card, const gpu::MmaShapeOf& shape) {
  Batch<Type> batch{Type::depth(shape), shape.columns, {}, {}, {}};
  add_one_hot(batch);
  add_drawn(batch, check.options.seed);
  const auto a = values_of<Type>(batch.a), b = values_of<Type>(batch.b);
  auto* c = card.make<typename Type::Sum>(batch.c.size());
  card.launch(typename Type::Products{card.put(std::span(a)), card.put(std::span(b)), c},
              batch.products() / gpu::kMmaProductsOfBlock);
  const auto found = card.get(c, batch.c.size());
  const int each = kRows * shape.columns;
  int wrong = 0;
  for (int i = 0; i < std::ssize(batch.c); ++i) {
    if (found[i] == static_cast<typename Type::Sum>(batch.c[i])) continue;
    if (wrong++ == 0)
      check.report.fail("fragments", std::string(Type::kName) + ": product " +
                                         std::to_string(i / each) + " has " +
                                         std::to_string(found[i]) + " in row " +
                                         std::to_string(i % each / shape.columns) + ", column " +
                                         std::to_string(i % shape.columns) + " instead of " +
                                         std::to_string(batch.c[i]));
  }
  check.report.add("fragments", Type::kName,
                   {{"matrix_units", shape.has_mma ? "yes" : "no"},
                    {"products", double(batch.products())},
                    {"wrong_values", double(wrong)}});
}

}  // namespace

void check_fragments(Check& check) {
  RawCard card(check.driver);
  auto* shape_on_card = card.make<gpu::MmaShapeOf>(1);
  card.launch(gpu::MmaShape{shape_on_card}, 1);
  const gpu::MmaShapeOf shape = card.get(shape_on_card, 1).front();
  check_type<F16>(check, card, shape);
  check_type<S8>(check, card, shape);
}

}  // namespace potluck
