// Lines are printed as they come, so that a run that hangs has said where.
#include "tests/gpu_check/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr int kNameWidth = 38, kColumnWidth = 12;

std::string number_of(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.5g", value);
  return text;
}

std::string cell(const Value& value) {
  const double* number = std::get_if<double>(&value);
  return number ? number_of(*number) : std::get<std::string>(value);
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : one_line(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string json_of(const Value& value) {
  const double* number = std::get_if<double>(&value);
  if (!number) return quoted(std::get<std::string>(value));
  return std::isfinite(*number) ? number_of(*number) : "null";
}

}  // namespace

void Report::begin_device(const std::string& device) {
  device_ = device;
  header_.clear();
  std::printf("%s, seed %u\n", device.c_str(), seed_);
}

void Report::add(const std::string& part, const std::string& name, const Values& values) {
  rows_.push_back({device_, part, name, values});
  std::string header = part, line = "  " + name;
  header.resize(std::max<size_t>(header.size() + 1, kNameWidth), ' ');
  line.resize(std::max<size_t>(line.size() + 1, kNameWidth), ' ');
  for (const auto& [key, value] : values) {
    const std::string text = cell(value);
    const size_t width = std::max<size_t>({kColumnWidth, key.size() + 1, text.size() + 1});
    header += std::string(width - key.size(), ' ') + key;
    line += std::string(width - text.size(), ' ') + text;
  }
  if (header != header_) std::printf("%s\n", header.c_str());
  header_ = header;
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  save();
}

void Report::fail(const std::string& part, const std::string& what) {
  failures_.push_back(device_ + ": " + part + ": " + what);
  std::printf("FAILED %s\n", one_line(failures_.back()).c_str());
  std::fflush(stdout);
  save();
}

bool Report::save() const {
  if (file_.empty()) return true;
  const std::string part = file_ + ".part";
  std::ofstream out(part);
  if (!(out << json()).flush()) return false;
  std::error_code error;
  std::filesystem::rename(part, file_, error);
  return !error;
}

void Report::finish() {
  finished_ = true;
  if (!save()) throw Fault(FaultKind::world, "cannot write " + file_);
}

std::string Report::json() const {
  std::string text = "{\"program\": \"potluck-gpu-check\", \"date\": " + quoted(utc_date()) +
                     ", \"seed\": " + std::to_string(seed_) +
                     ", \"finished\": " + (finished_ ? "true" : "false") +
                     ", \"passed\": " + (passed() ? "true" : "false") + ",\n\"failures\": [";
  for (size_t i = 0; i < failures_.size(); ++i) text += (i ? ",\n " : "") + quoted(failures_[i]);
  text += "],\n\"rows\": [";
  for (size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    text += (i ? ",\n " : "\n ") + std::string("{\"device\": ") + quoted(row.device) +
            ", \"part\": " + quoted(row.part) + ", \"name\": " + quoted(row.name);
    for (const auto& [key, value] : row.values) text += ", " + quoted(key) + ": " + json_of(value);
    text += "}";
  }
  return text + "\n]}\n";
}

}  // namespace potluck
