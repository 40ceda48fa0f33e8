// The blocked products meet their definition bit for bit, on odd shapes.
#include "kernels/cpu/reference/row_products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/reference/fused_dot_products.h"

namespace potluck::cpu {
namespace {

using Floats = std::vector<float>;

Floats random_floats(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

// Lane j of 16 sums the terms j, j + 16, … in order; then the lanes are added pairwise.
float dot_by_definition(const float* x, const float* w, int64_t terms) {
  float lanes[16] = {};
  for (int64_t i = 0; i < terms; ++i) lanes[i % 16] += x[i] * w[i];
  for (int width = 8; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  return lanes[0];
}

struct Shape {
  int64_t rows, columns, terms;
};
constexpr Shape kShapes[] = {{1, 1, 1},     {4, 4, 16},    {3, 5, 17},   {7, 9, 100},
                             {5, 70, 33},   {17, 6, 64},   {2, 130, 15}, {13, 64, 48},
                             {6, 131, 257}, {35, 18, 1037}};

TEST(Products, DotProductsRunInSixteenLanes) {
  for (const auto [rows, columns, terms] : kShapes) {
    const Floats x = random_floats(rows * (terms + 3), 1), w = random_floats(columns * terms, 2);
    Floats out(static_cast<size_t>(rows * columns));
    dot_products({x.data(), terms + 3}, rows, {w.data(), terms}, columns, terms,
                 {out.data(), columns});
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        ASSERT_EQ(out[static_cast<size_t>(r * columns + c)],
                  dot_by_definition(x.data() + r * (terms + 3), w.data() + c * terms, terms))
            << rows << " × " << columns << " × " << terms << " at " << r << ", " << c;
  }
}

// |error| ≤ terms · 2⁻²⁴ · Σ |x · w|, whatever rows are beside it.
TEST(Products, FusedOnesMeetTheExactSumsAndTheirBitsAreTheRowsOwn) {
  for (const auto [rows, columns, terms] : kShapes) {
    const Floats x = random_floats(rows * terms, 1), w = random_floats(columns * terms, 2);
    Floats out(static_cast<size_t>(rows * columns)), alone(static_cast<size_t>(columns));
    fused_dot_products({x.data(), terms}, rows, {w.data(), terms}, columns, terms,
                       {out.data(), columns});
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = x.data() + r * terms;
      fused_dot_products({row, terms}, 1, {w.data(), terms}, columns, terms,
                         {alone.data(), columns});
      for (int64_t c = 0; c < columns; ++c) {
        double sum = 0, magnitude = 0;
        for (int64_t i = 0; i < terms; ++i) {
          const double product =
              static_cast<double>(row[i]) * w[static_cast<size_t>(c * terms + i)];
          sum += product;
          magnitude += std::fabs(product);
        }
        const float actual = out[static_cast<size_t>(r * columns + c)];
        ASSERT_NEAR(actual, sum, static_cast<double>(terms) * 0x1p-24 * magnitude);
        ASSERT_EQ(actual, alone[static_cast<size_t>(c)]) << "row " << r << ", column " << c;
      }
    }
  }
}

TEST(Products, WeightedSumsRunInOrder) {
  for (const auto [rows, columns, terms] : kShapes) {
    const Floats p = random_floats(rows * terms, 3), v = random_floats(terms * columns, 4);
    Floats out = random_floats(rows * (columns + 1), 5), expected = out;
    add_weighted_sums({p.data(), terms}, rows, {v.data(), columns}, terms, columns,
                      {out.data(), columns + 1});
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < columns; ++i)
        for (int64_t j = 0; j < terms; ++j)
          expected[static_cast<size_t>(r * (columns + 1) + i)] +=
              p[static_cast<size_t>(r * terms + j)] * v[static_cast<size_t>(j * columns + i)];
    ASSERT_EQ(out, expected) << rows << " × " << columns << " × " << terms;
  }
}

}  // namespace
}  // namespace potluck::cpu
