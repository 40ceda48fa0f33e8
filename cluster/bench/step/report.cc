// Prints a step bench as Markdown, CSV or JSON.
#include "cluster/bench/step/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "topology/base/text.h"
#include "topology/base/utf8.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

using Row = std::vector<std::pair<std::string, std::string>>;  // columns and their cells

std::string cell_of(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? fmt::format("{:.6g}", value.get<double>()) : value.dump();
}

// Nested objects become columns: {"parts": {"router": {"ms": 1}}} → router_ms.
void flatten(const nlohmann::ordered_json& object, const std::string& prefix, Row& row) {
  for (const auto& [key, value] : object.items())
    if (value.is_object())
      flatten(value, key == "parts" ? prefix : prefix + key + "_", row);
    else
      row.emplace_back(prefix + key, cell_of(value));
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

std::string csv_line(const std::vector<std::string>& fields) {
  return fmt::format("{}\n", fmt::join(fields, ","));
}

std::string table_line(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    line += ' ';
    for (char c : one_line(cell)) line += c == '|' ? "\\|" : std::string(1, c);
    line += " |";
  }
  return line + "\n";
}

std::string table_rule(size_t columns) {
  std::string line = "|";
  for (size_t i = 0; i < columns; ++i) line += "---|";
  return line + "\n";
}

std::string percent(double share) {
  return fmt::format("{:.0f} %", 100 * share);
}

// A CPU has peaks of products, memory and caches; a card of copying its memory.
std::string peaks_text(const StepBench& bench) {
  std::vector<std::string> peaks;
  for (const Peak& peak : bench.peaks)
    peaks.push_back(fmt::format("{} {:.4g} GFLOP/s", peak.product, peak.gflop_per_s));
  const auto add = [&](double gb_per_s, const char* what) {
    if (gb_per_s > 0) peaks.push_back(fmt::format("{} {:.4g} GB/s", what, gb_per_s));
  };
  add(bench.read_gb_per_s, "memory read");
  add(bench.memory_copy_gb_per_s, "memory copied");
  add(bench.cache_copy_gb_per_s, "caches copied");
  return fmt::format("{}", fmt::join(peaks, ", "));
}

std::string load_text(const StepBench& bench, bool cold) {
  const LoadRates& rates = bench.load_rates;
  const std::string store =
      rates.to_card_gb_per_s > 0
          ? fmt::format("pinned memory copied to the card at {:.3g} GB/s", rates.to_card_gb_per_s)
          : fmt::format("fresh huge pages touched at {:.3g} GB/s", rates.touch_gb_per_s);
  return fmt::format(
      "Just before loading, in memory that was in use a moment ago: the file read{} at {:.3g} "
      "GB/s, {}; of {}, {} were stored anew.",
      cold ? " from where it lies" : "", rates.file_gb_per_s, store, bytes_text(bench.weight_bytes),
      bytes_text(bench.panel_bytes));
}

std::string where_text(const StepBench& bench) {
  return bench.threads ? fmt::format("{} threads at once", bench.threads) : bench.device;
}

std::string runs_table(const StepBench& bench, const StepBenchOptions& options,
                       const BenchLabel& label) {
  std::vector<std::string> header = {
      "date",   "version",   "model",      "size",        "device",
      "stages", "precision", "load s",     "load GB/s",   "load share",
      "prompt", "canvases",  "encode t/s", "ms a canvas", "step ms (least, most)"};
  for (int part = 0; part < kParts; ++part) header.push_back(part_name(static_cast<Part>(part)));
  header.insert(header.end(), {"rest", "share"});
  std::string text = table_line(header) + table_rule(header.size());
  for (const StepRun& run : bench.runs) {
    std::vector<std::string> row = {
        label.date,
        label.software,
        label.model,
        bytes_text(bench.weight_bytes),
        bench.device,
        std::to_string(options.stages),
        options.precision == Precision::fast ? "fast" : "exact",
        fmt::format("{:.3g}", bench.load_s),
        fmt::format("{:.3g}", bench.load_gb_per_s),
        bench.load_share() > 0 ? percent(bench.load_share()) : "",
        std::to_string(run.prompt),
        std::to_string(options.canvases),
        run.prompt ? fmt::format("{:.4g}", run.encode_tokens_per_s) : "",
        fmt::format("{:.4g}", run.step_ms / options.canvases),
        fmt::format("{:.4g} ({:.4g}, {:.4g})", run.step_ms, run.least_ms, run.most_ms)};
    for (const PartFigures& part : run.parts) row.push_back(fmt::format("{:.3g}", part.ms));
    row.push_back(fmt::format("{:.3g}", run.rest_ms()));
    row.push_back(percent(run.share()));
    text += table_line(row);
  }
  return text;
}

std::string canvases_text(int canvases) {
  return canvases == 1 ? "" : " of " + std::to_string(canvases) + " canvases";
}

std::string parts_table(const StepRun& run, int canvases) {
  const std::vector<std::string> header = {"part",     "ms",         "GFLOP/s", "GB/s",
                                           "limit ms", "limited by", "share"};
  std::string text =
      fmt::format("\nA step{} behind a prompt of {}:\n\n", canvases_text(canvases), run.prompt) +
      table_line(header) + table_rule(header.size());
  for (size_t i = 0; i < run.parts.size(); ++i) {
    const PartFigures& part = run.parts[i];
    text += table_line({part_name(static_cast<Part>(i)), fmt::format("{:.3g}", part.ms),
                        part.operations > 0 ? fmt::format("{:.4g}", part.gflop_per_s()) : "",
                        part.bytes > 0 ? fmt::format("{:.3g}", part.gb_per_s()) : "",
                        fmt::format("{:.3g}", part.limit_ms), part.bound,
                        part.limit_ms > 0 ? percent(part.share()) : ""});
  }
  text += table_line({"rest", fmt::format("{:.3g}", run.rest_ms()), "", "", "", "", ""});
  return text + table_line({"step", fmt::format("{:.4g}", run.profiled_ms), "", "",
                            fmt::format("{:.4g}", run.limit_ms()), "", percent(run.share())});
}

nlohmann::ordered_json part_json(const PartFigures& part) {
  return {{"ms", part.ms},
          {"gflop", part.operations * 1e-9},
          {"gb", part.bytes * 1e-9},
          {"gflop_per_s", part.gflop_per_s()},
          {"gb_per_s", part.gb_per_s()},
          {"limit_ms", part.limit_ms},
          {"limited_by", part.bound},
          {"share", part.share()}};
}

nlohmann::ordered_json run_json(const StepBench& bench, const StepRun& run, int canvases) {
  nlohmann::ordered_json json = {{"prompt", run.prompt},
                                 {"encode_tokens_per_s", run.encode_tokens_per_s},
                                 {"step_ms", run.step_ms},
                                 {"step_ms_least", run.least_ms},
                                 {"step_ms_most", run.most_ms},
                                 {"ms_a_canvas", run.step_ms / canvases},
                                 {"profiled_step_ms", run.profiled_ms},
                                 {"limit_ms", run.limit_ms()},
                                 {"share", run.share()},
                                 {"read_gb_per_s", bench.read_gb_per_s},
                                 {"memory_copy_gb_per_s", bench.memory_copy_gb_per_s},
                                 {"cache_copy_gb_per_s", bench.cache_copy_gb_per_s},
                                 {"peaks", peaks_text(bench)}};
  nlohmann::ordered_json& parts = json["parts"];
  for (size_t i = 0; i < run.parts.size(); ++i)
    parts[part_name(static_cast<Part>(i))] = part_json(run.parts[i]);
  json["rest_ms"] = run.rest_ms();
  return json;
}

}  // namespace

std::string step_bench_markdown(const StepBench& bench, const StepBenchOptions& options,
                                const BenchLabel& label) {
  std::string text = runs_table(bench, options, label);
  for (const StepRun& run : bench.runs) text += parts_table(run, options.canvases);
  return text + "\nPeaks of " + where_text(bench) + ", in this run: " + peaks_text(bench) +
         ".\n\n" + load_text(bench, options.cold) + "\n";
}

nlohmann::ordered_json step_bench_json(const StepBench& bench, const StepBenchOptions& options,
                                       const BenchLabel& label) {
  nlohmann::ordered_json runs = nlohmann::ordered_json::array();
  for (const StepRun& run : bench.runs) {
    nlohmann::ordered_json json = {
        {"date", label.date},
        {"version", label.software},
        {"model", label.model},
        {"device", bench.device},
        {"isa", bench.isa},
        {"threads", bench.threads},
        {"precision", options.precision == Precision::fast ? "fast" : "exact"},
        {"stages", options.stages},
        {"canvases", options.canvases},
        {"cold", options.cold},
        {"repetitions", options.repetitions},
        {"weight_bytes", static_cast<uint64_t>(bench.weight_bytes)},
        {"load_s", bench.load_s},
        {"first_step_ms", bench.first_step_ms},
        {"load_gb_per_s", bench.load_gb_per_s},
        {"panel_bytes", static_cast<uint64_t>(bench.panel_bytes)},
        {"file_gb_per_s", bench.load_rates.file_gb_per_s},
        {"touch_gb_per_s", bench.load_rates.touch_gb_per_s},
        {"to_card_gb_per_s", bench.load_rates.to_card_gb_per_s},
        {"load_share", bench.load_share()}};
    json.update(run_json(bench, run, options.canvases));
    runs.push_back(std::move(json));
  }
  return runs;
}

std::string step_bench_csv(const StepBench& bench, const StepBenchOptions& options,
                           const BenchLabel& label) {
  std::string text;
  for (const nlohmann::ordered_json& run : step_bench_json(bench, options, label)) {
    Row row;
    flatten(run, "", row);
    std::vector<std::string> names, cells;
    for (const auto& [name, cell] : row) {
      names.push_back(csv_field(name));
      cells.push_back(csv_field(cell));
    }
    if (text.empty()) text = csv_line(names);
    text += csv_line(cells);
  }
  return text;
}

}  // namespace potluck
