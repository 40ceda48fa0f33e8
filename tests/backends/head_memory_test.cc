// The released vocabulary on one head: logits of all of it would be 268 MB.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "backends/make_backend.h"
#include "shard/head.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {
namespace {

constexpr char kModel[] = "synthetic:released?layers=1&type=q8_0";

uint64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0) return std::stoull(line.substr(6)) * 1024;
  return 0;
}

// A self-conditioned step of 256 rows, as a worker that owns the head runs it.
uint64_t peak_of_a_step() {
  const auto source = open_model(kModel);
  const ModelSpec& spec = source->spec();
  const auto backend = make_backend({.cpu = {.threads = 2}});
  Plan plan;
  plan.stages.push_back({.name = "stage", .layers = {0, 1}});
  Head head(*source, plan, *backend);
  Segment segment;
  segment.mode = Mode::denoise;
  segment.rows = spec.canvas;
  const Tensor soft = head.new_soft(), soft_out = head.new_soft();
  const std::vector<int32_t> ids(static_cast<size_t>(spec.canvas), 7);
  head.embed(std::span(&segment, 1), ids, std::span(&soft, 1));
  head.answer(std::span(&segment, 1), std::span(&soft_out, 1));
  return peak_bytes();
}

// In a child, so that nothing else of this program is counted.
TEST(Head, AStepOverTheReleasedVocabularyTakesTheTableAndNoMoreThan96MiB) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's shadow memory would be counted";
#endif
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const uint64_t peak = peak_of_a_step();
    _exit(write(pipe_ends[1], &peak, sizeof(peak)) == sizeof(peak) ? 0 : 1);
  }
  uint64_t peak = 0;
  close(pipe_ends[1]);
  ASSERT_EQ(read(pipe_ends[0], &peak, sizeof(peak)), static_cast<ssize_t>(sizeof(peak)));
  close(pipe_ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  const uint64_t table = row_bytes(DType::q8_0, 2816) * 262144;
  EXPECT_GT(peak, table);
  EXPECT_LE(peak, table + (96u << 20));
  RecordProperty("peak_mib", static_cast<int>(peak >> 20));
}

}  // namespace
}  // namespace potluck
