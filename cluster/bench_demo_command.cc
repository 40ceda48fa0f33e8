// potluck bench demo: the share of fresh puzzles that the demo model solves, by band of givens.
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <random>

#include "cluster/bench_commands.h"
#include "cluster/demo_game.h"
#include "cluster/flag_checks.h"

namespace potluck {
namespace {

struct Band {
  int least, most;
  int played = 0, solved = 0;
};

struct Flags {
  int puzzles = 1000;
  int steps = 0;
  std::optional<uint64_t> seed = 1;  // none: a random one
};

// Wilson's 95 % interval of a share.
std::pair<double, double> wilson(int solved, int played) {
  constexpr double kZ = 1.959964;
  const double n = played, p = solved / n, z2 = kZ * kZ;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {middle - half, middle + half};
}

int run(const Flags& flags, const ModelPlaces& places, const std::string& program) {
  Game game(open_model("demo", places), program);
  game.steps = flags.steps;
  const uint64_t seed = seed_or_random(flags.seed);
  if (!flags.seed) std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  Band bands[] = {{8, 11}, {12, 17}, {18, 33}};
  std::map<int, int> steps;
  for (int i = 0; i < flags.puzzles; ++i) {
    Band& band = bands[i % 3];
    const int givens = random_between(band.least, band.most, random);
    const Round round =
        play(game, fresh_puzzle(givens, random), seed + static_cast<uint64_t>(i), nullptr);
    ++band.played;
    band.solved += round.verdict.solved();
    ++steps[round.result.steps.at(0)];
  }
  for (const Band& band : bands) {
    if (band.played == 0) continue;
    const auto [low, high] = wilson(band.solved, band.played);
    std::printf("%2d to %2d givens: %d of %d solved, %.1f %% (95 %%: %.1f to %.1f)\n", band.least,
                band.most, band.solved, band.played, 100.0 * band.solved / band.played, 100 * low,
                100 * high);
  }
  std::printf("steps K:");
  for (const auto& [k, count] : steps) std::printf(" %d×%d", k, count);
  std::printf("\n");
  return 0;
}

}  // namespace

void add_bench_demo(CLI::App* bench, CommandLine& line) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* sub =
      bench->add_subcommand("demo", "the demo model on fresh puzzles, by band of givens");
  whole_number(sub->add_option("--puzzles", flags->puzzles, "in all, a third in each band"), "N", 1,
               kMostInt);
  whole_number(sub->add_option("--steps", flags->steps, "denoising steps at most; 1: a control"),
               "N", 1, kStepsMax);
  add_seed_flag(sub, flags->seed, "of puzzles and noise (default: 1; -1: a random one)");
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places, program = line.program] {
      return run(*flags, places, program);
    };
  });
}

}  // namespace potluck
