// potluck bench demo: measures the share of fresh puzzles that the demo model solves, by band of
// givens, and beside it what is left of that under controls, on the same puzzles.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <list>
#include <map>
#include <optional>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/demo/altered_model.h"
#include "cluster/demo/demo_game.h"
#include "cluster/demo/device_flag.h"
#include "cluster/demo/grid_flag.h"
#include "cluster/demo/random.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

constexpr char kOneStep[] = "one-step";
constexpr char kNoSelfConditioning[] = "no-self-conditioning";
constexpr char kShuffledWeights[] = "shuffled-weights";
constexpr size_t kColumns = 80;

struct BenchDemoFlags {
  int grid = 6;
  int puzzles = 1000;
  int steps = 0;
  std::string precision = "fast";
  std::vector<std::string> controls, devices;
  std::optional<uint64_t> seed = 1;  // none: a random one
};

struct Tally {
  int played = 0, solved = 0, steps = 0;
};

// The model, or what a control makes of it, in a ring of threads of this process.
struct Contender {
  Contender(std::string control_name, const std::shared_ptr<const ModelSource>& model,
            const BenchDemoFlags& flags, int steps_max)
      : control(std::move(control_name)), game(model, plan_of(*model, flags)) {
    game.steps = steps_max;
  }
  static Plan plan_of(const ModelSource& model, const BenchDemoFlags& flags) {
    Plan plan = demo_plan(model, flags.devices);
    plan.precision = flags.precision == "fast" ? Precision::fast : Precision::exact;
    return plan;
  }

  std::string control;  // empty: the model itself
  Game game;
  std::array<Tally, 3> bands;
  std::map<int, int> steps;  // puzzles by K
};

std::shared_ptr<const ModelSource> controlled(const std::string& control,
                                              const std::shared_ptr<const ModelSource>& model,
                                              uint64_t seed) {
  if (control == kNoSelfConditioning) return without_self_conditioning(model);
  if (control == kShuffledWeights) return with_shuffled_weights(model, seed);
  return model;
}

// Wilson's 95 % interval of a share of solved puzzles.
std::pair<double, double> wilson(int solved, int played) {
  constexpr double kZ = 1.959964;
  const double n = played, p = solved / n, z2 = kZ * kZ;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {std::max(middle - half, 0.0), std::min(middle + half, 1.0)};
}

void play_in_band(Contender& contender, const SudokuPuzzle& puzzle, uint64_t seed, size_t band) {
  const Round round = play(contender.game, puzzle, seed, nullptr);
  const int steps = round.result.steps.at(0);
  Tally& tally = contender.bands[band];
  ++tally.played;
  tally.solved += round.verdict.solved();
  tally.steps += steps;
  ++contender.steps[steps];
}

// Prints "steps K: 2×15 3×6 …", on as many lines as it takes.
void print_steps(const std::map<int, int>& puzzles_by_steps) {
  const std::string name = "steps K:", indent(name.size(), ' ');
  std::printf("%s", name.c_str());
  size_t columns = name.size();
  for (const auto& [k, count] : puzzles_by_steps) {
    const std::string k_text = std::to_string(k), count_text = std::to_string(count);
    const size_t wide = k_text.size() + count_text.size() + 2;  // a space and the ×
    if (columns + wide > kColumns) {
      std::printf("\n%s", indent.c_str());
      columns = indent.size();
    }
    std::printf(" %s×%s", k_text.c_str(), count_text.c_str());
    columns += wide;
  }
  std::printf("\n");
}

void print_bands(const Contender& contender, const std::array<Band, 3>& bands) {
  if (!contender.control.empty()) std::printf("\n--control %s:\n", contender.control.c_str());
  for (size_t i = 0; i < bands.size(); ++i) {
    const auto& [played, solved, steps] = contender.bands[i];
    if (played == 0) continue;
    const auto [low, high] = wilson(solved, played);
    std::printf("%2d to %2d givens: %d of %d, %.1f %% (95 %%: %.1f to %.1f), mean K %.1f\n",
                bands[i].least, bands[i].most, solved, played, 100.0 * solved / played, 100 * low,
                100 * high, static_cast<double>(steps) / played);
  }
  print_steps(contender.steps);
}

int run_bench_demo(BenchDemoFlags flags, const ModelPlaces& places) {
  flags.devices = demo_devices(flags.devices);
  const DemoKind& kind = demo_kind(flags.grid);
  const uint64_t seed = seed_or_random(flags.seed);
  const std::shared_ptr<const ModelSource> model = open_model(kind.model, places);
  std::list<Contender> contenders;
  contenders.emplace_back("", model, flags, flags.steps);
  for (const std::string& control : flags.controls)
    contenders.emplace_back(control, controlled(control, model, seed), flags,
                            control == kOneStep ? 1 : flags.steps);
  std::printf("%d×%d, seed %llu; solved, and denoising steps K:\n", kind.size, kind.size,
              static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < flags.puzzles; ++i) {
    const size_t band = i % kind.bands.size();
    const int givens = random_between(kind.bands[band].least, kind.bands[band].most, random);
    const SudokuPuzzle puzzle = fresh_puzzle(kind.size, givens, random);
    for (Contender& contender : contenders) play_in_band(contender, puzzle, seed + i, band);
  }
  for (const Contender& contender : contenders) print_bands(contender, kind.bands);
  return 0;
}

}  // namespace

void add_bench_demo(CLI::App* bench, CommandLine& line) {
  const auto flags = std::make_shared<BenchDemoFlags>();
  CLI::App* sub =
      bench->add_subcommand("demo", "measure how many fresh puzzles the demo model solves");
  add_grid_flag(sub, flags->grid);
  add_demo_devices_flag(sub, flags->devices);
  whole_number(sub->add_option("--puzzles", flags->puzzles,
                               "how many puzzles, a third in each band of givens (default: 1000)"),
               "N", 1, kMostInt);
  whole_number(sub->add_option("--steps", flags->steps,
                               "the most denoising steps of a puzzle (default: the model's)"),
               "N", 1, kStepsMax);
  one_of(sub->add_option("--control", flags->controls,
                         "solve the same puzzles with less than the model too; A,B for several")
             ->delimiter(','),
         {kOneStep, kNoSelfConditioning, kShuffledWeights});
  one_of(
      sub->add_option("--precision", flags->precision, "matrix products: fast (default) or exact"),
      {"fast", "exact"});
  add_seed_flag(sub, flags->seed, "seed of puzzles and noise; -1: a random one (default: 1)");
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places] { return run_bench_demo(*flags, places); };
  });
}

}  // namespace potluck
