// Reads the names that quantizers give themselves in config.json.
#include "topology/model/quantized_checkpoint.h"

#include <algorithm>
#include <cctype>

namespace potluck {
namespace {

struct Name {
  const char* part;  // of a method's or a format's name, in lower case
  const char* what;
};
// The first that fits is taken.
constexpr Name kNames[] = {
    {"nvfp4", "NVFP4"},
    {"mxfp4", "MXFP4"},
    {"fp8", "FP8"},
    {"float-quantized", "FP8"},
    {"int-quantized", "INT8"},
    {"pack-quantized", "INT4"},
    {"gptq", "GPTQ"},
    {"awq", "AWQ"},
    {"bitsandbytes", "bitsandbytes"},
    {"int8", "INT8"},
    {"int4", "INT4"},
};

constexpr const char* kBlocks[] = {"quantization_config", "compression_config", "quantization"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string text_or_empty(const JsonFields& fields, const char* key) {
  return fields.has(key) && fields.at(key).is_string() ? fields.text(key) : "";
}

std::string describe(const JsonFields& block) {
  const std::string method = text_or_empty(block, "quant_method");
  std::string all = method;
  for (const char* key : {"quant_algo", "format", "quant_type", "fmt"})
    all.append(" ").append(text_or_empty(block, key));
  std::string what;
  for (const Name& name : kNames)
    if (what.empty() && lower(all).find(name.part) != std::string::npos) what = name.what;
  if (what.empty() && block.has("bits")) what = json_excerpt(block.at("bits")) + "-bit";
  if (what.empty()) return method.empty() ? "some other type" : method;
  return method.empty() || lower(what) == lower(method) ? what : what + " (" + method + ")";
}

}  // namespace

std::optional<std::string> quantization(const JsonFields& config) {
  for (const char* key : kBlocks)
    if (config.has(key))
      return config.at(key).is_object() ? describe(config.object(key)) : "some other type";
  return std::nullopt;
}

std::optional<std::string> quantized_dtype(const std::string& dtype) {
  if (dtype.starts_with("F8_")) return "an fp8 checkpoint";
  if (dtype.starts_with("F4") || dtype.starts_with("F6")) return "a checkpoint in 4 or 6 bits";
  if (dtype == "I8" || dtype == "U8" || dtype == "I32" || dtype == "U32")
    return "a checkpoint quantized to integers";
  return std::nullopt;
}

}  // namespace potluck
