// Wrong command lines are refused in one line that names the word and the way out.
#include "cluster/cli/usage.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "cluster/cli/fault_line.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/run/prompt.h"
#include "cluster/run/run_flags.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

// The complaint of `potluck WORDS…` about a wrong command line; empty if it is right.
std::string complaint(std::vector<std::string> words) {
  CLI::App app("", "potluck");
  app.require_subcommand(1);
  RunFlags flags;
  add_run_flags(app.add_subcommand("run"), flags);
  std::string model;
  app.add_subcommand("inspect")->add_option("-m,--model", model)->required();
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
    return "";
  } catch (const CLI::ParseError& error) {
    return usage_line(app, error);
  }
}

TEST(Usage, ARightLineIsNoComplaint) {
  EXPECT_EQ(complaint({"run", "-m", "x", "-p", "hi", "-n", "-1", "-s", "-1", "--split", "2,3"}),
            "");
}

TEST(Usage, EveryComplaintIsOneLineThatNamesTheWordAndTheWayOut) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> table = {
      {{}, "potluck: a command is missing; there are run, inspect"},
      {{"rum"}, "potluck: unknown command rum; did you mean \"run\"?"},
      {{"run", "--promt", "x"}, "potluck: unknown flag --promt; did you mean \"--prompt\"?"},
      {{"run", "-m", "x", "--sed=3"}, "potluck: unknown flag --sed; did you mean \"--seed\"?"},
      {{"run", "--frobnicate"}, "potluck: unknown flag --frobnicate; see potluck run --help"},
      {{"run", "-m", "x", "-q"}, "potluck: unknown flag -q; see potluck run --help"},
      {{"run", "-m", "x", "hello"}, "potluck: \"hello\" follows no flag; see potluck run --help"},
      {{"inspect"}, "potluck: -m, --model is required; see potluck inspect --help"},
      {{"run", "-m", "x", "-n", "0"},
       "potluck: -n, --predict: must be 1 to 2147483647, or -1, not 0; see potluck run --help"},
      {{"run", "-m", "x", "-n", "99999999999"},
       "potluck: -n, --predict: must be 1 to 2147483647, or -1, not 99999999999; see potluck run "
       "--help"},
      {{"run", "-m", "x", "-n", "1e3"},
       "potluck: -n, --predict: must be a whole number in plain decimal, 1 to 2147483647, or -1, "
       "not "
       "1e3; see potluck run --help"},
      {{"run", "-m", "x", "-s", "18446744073709551616"},
       "potluck: -s, --seed: must be 0 to 18446744073709551615, or -1, not 18446744073709551616; "
       "see "
       "potluck run --help"},
      {{"run", "-m", "x", "--temp", "nan"},
       "potluck: --temp: must be 1e-06 to 1e+06, or 0, not nan; see potluck run --help"},
      {{"run", "-m", "x", "-f", ""},
       "potluck: -f, --file: the name of the file is empty; see potluck run --help"},
      {{"run", "-m", "x", "-t", "1025"},
       "potluck: -t, --threads: must be 1 to 1024, not 1025; see potluck run --help"},
      {{"run", "-m", "x", "--show", "all"},
       "potluck: --show: must be canvas, text or none, not all; see potluck run --help"},
      {{"run", "-m"}, "potluck: -m, --model: MODEL is missing; see potluck run --help"},
      {{"run", "-m", "x", "-p", "a", "-p", "b"},
       "potluck: -p, --prompt is given more than once; see potluck run --help"},
  };
  for (const auto& [words, line] : table) EXPECT_EQ(complaint(words), line);
}

TEST(Usage, NglIsALongFlagWithOneDash) {
  const char* const words[] = {"potluck", "run", "-ngl", "3", "-ngl=4", "-n", "5"};
  EXPECT_EQ(command_words(7, words),
            (std::vector<std::string>{"5", "-n", "--ngl=4", "3", "--ngl", "run"}));
  EXPECT_EQ(complaint({"run", "-m", "x", "--ngl", "3"}), "");
}

// The value of N in `command N`, if it is one from 1 to 255 (of a seed: any).
std::optional<uint64_t> read_as(const std::string& flag, const std::string& text) {
  CLI::App app("", "potluck");
  int count = 0;
  std::optional<uint64_t> seed = 7;
  whole_number(app.add_option("-n", count), "N", 1, 255);
  add_seed_flag(&app, seed, "");
  app.parse(std::vector<std::string>{text, flag});  // last word first
  return flag == "-n" ? static_cast<uint64_t>(count) : seed;
}

TEST(Usage, WholeNumbersAreReadInPlainDecimalAlone) {
  EXPECT_EQ(read_as("-n", "10"), 10u);
  EXPECT_EQ(read_as("-s", "0"), 0u);
  for (const char* flag : {"-n", "-s"})
    for (const char* text : {"", "010", "0x10", "+1", " 1", "1 ", "1e1", "1.5", "-2", "0b1", "1'0"})
      EXPECT_THROW(read_as(flag, text), CLI::ValidationError) << flag << " \"" << text << '"';
}

TEST(Usage, EverySeedOf64BitsIsASeedAndMinusOneIsNone) {
  EXPECT_EQ(read_as("-s", "18446744073709551615"), 18446744073709551615u);
  EXPECT_EQ(read_as("-s", "18446744073709551614"), 18446744073709551614u);
  EXPECT_EQ(read_as("-s", "-1"), std::nullopt);
  EXPECT_EQ(seed_or_random(0), 0u);
  EXPECT_EQ(seed_or_random(18446744073709551615u), 18446744073709551615u);
}

TEST(Usage, FlagsThatDoNotGoTogetherAreBothNamed) {
  const auto refused = [](auto change) {
    RunFlags flags;
    change(flags);
    try {
      check_together(flags);
      return std::string();
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      return fault.text();
    }
  };
  EXPECT_EQ(refused([](RunFlags&) {}), "");
  EXPECT_EQ(refused([](RunFlags& f) { f.prompt_given = true, f.prompt_file = "x"; }),
            "-p and -f both give a prompt; leave one of them out");
  EXPECT_EQ(refused([](RunFlags& f) { f.raw = true, f.system_prompt = "x"; }),
            "--raw has no place for --system-prompt; leave one of them out");
  EXPECT_EQ(refused([](RunFlags& f) { f.ring.plan = "p.yaml", f.ring.stages_given = true; }),
            "--plan already says who runs which layers; leave out --stages and --split");
  EXPECT_EQ(refused([](RunFlags& f) {
              f.ring.stages_given = true;
              f.ring.options.stages = 3, f.ring.options.split = {2, 3};
            }),
            "--stages 3 contradicts --split 2,3; leave one of them out");
  EXPECT_EQ(refused([](RunFlags& f) {
              f.ring.stages_given = true;
              f.ring.options.stages = 2, f.ring.options.split = {2, 3};
            }),
            "");
}

TEST(Prompt, InvalidUtf8IsRefusedWithTheByte) {
  check_utf8("wörld 世界 😀", "-p");
  const std::vector<std::pair<std::string, std::string>> table = {
      {"ab\xff", "byte 2 is 0xFF"},
      {"ö\xc3(", "byte 2 is 0xC3"},
      {"\xed\xa0\x80", "byte 0 is 0xED"},
      {"世\xe4\xb8", "byte 3 is 0xE4"},
  };
  for (const auto& [text, where] : table) try {
      check_utf8(text, "notes.txt");
      ADD_FAILURE() << where;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.text().rfind("notes.txt is not UTF-8: " + where, 0), 0u) << fault.text();
    }
}

TEST(FaultLine, AFixNamesTheFlagOfItsSettingAndNothingElse) {
  const Fault full(FaultKind::input, "the context is full",
                   Fix{"raise the context", Setting::context}, "stage 1");
  EXPECT_EQ(fault_line(full), "stage 1: the context is full; raise the context (-c)");
  EXPECT_STREQ(full.what(), "stage 1: the context is full; raise the context");
  EXPECT_EQ(fault_line(Fault(FaultKind::world, "it broke", Fix{"mend it"})), "it broke; mend it");
  EXPECT_EQ(fault_line(Fault(FaultKind::world, "it broke", "head")), "head: it broke");
}

TEST(FaultLine, EverySettingHasAFlag) {
  for (int i = 1; i <= static_cast<int>(kLastSetting); ++i) {
    const Fault fault(FaultKind::input, "text", Fix{"fix", static_cast<Setting>(i)});
    EXPECT_EQ(fault_line(fault).rfind("text; fix (", 0), 0u) << i;
    EXPECT_NE(fault_line(fault).find('-'), std::string::npos) << i;
  }
}

}  // namespace
}  // namespace potluck
