// Runs recorded cases through the sampler, and names the first value that differs.
#include "cluster/verify/verify_sampler.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cluster/verify/tensor_file.h"
#include "coordinator/sampler.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

using nlohmann::json;
constexpr uint64_t kJsonBytesMax = 16u << 20;

GenerationSpec spec_of(const json& c) {
  GenerationSpec spec;
  spec.max_steps = c.at("max_steps");
  spec.t_min = c.at("t_min");
  spec.t_max = c.at("t_max");
  spec.entropy_bound = c.at("entropy_bound");
  spec.stability_threshold = c.at("stability_threshold");
  spec.confidence_threshold = c.at("confidence_threshold");
  return spec;
}

// The argmax (the lowest id of a tie) and the entropy in nats of softmax(logits / t), in float32 as
// in the reference.
Candidates candidates_of(const std::vector<float>& logits, size_t vocab, double temperature) {
  Candidates c;
  const float t = temperature;
  for (size_t row = 0; row < logits.size() / vocab; ++row) {
    const float* z = logits.data() + row * vocab;
    const float* most = std::max_element(z, z + vocab);
    double mass = 0, moment = 0;
    for (size_t v = 0; v < vocab; ++v) {
      const double shifted = z[v] / t - *most / t;
      mass += std::exp(shifted);
      moment += shifted * std::exp(shifted);
    }
    c.argmax.push_back(most - z);
    c.entropy.push_back(std::log(mass) - moment / mass);
  }
  return c;
}

// Runs one recorded case and names the first value that differs; empty if none does.
std::string replay(const json& c, const TensorFile& tensors, int& steps) {
  const std::string base = std::to_string(c.at("case").get<int>()) + ".";
  const auto sampler = make_entropy_bound_sampler(spec_of(c));
  const auto vocab = c.at("vocab").get<size_t>();
  sampler->begin_canvas();
  bool stopped = false;
  int step = 0;
  for (; step < sampler->max_steps() && !stopped; ++step, ++steps) {
    const std::string at = base + "step." + std::to_string(step) + ".";
    Candidates candidates =
        candidates_of(tensors.floats(at + "logits"), vocab, sampler->temperature(step));
    candidates.sample = tensors.ids(at + "sample");
    const StepDecision decision = sampler->decide(candidates, tensors.ids(at + "noise"));
    if (candidates.argmax != tensors.ids(at + "argmax")) return at + "argmax";
    if (decision.accepted != tensors.bytes(at + "accepted")) return at + "accepted";
    if (decision.next != tensors.ids(at + "next")) return at + "next";
    stopped = decision.stop;
  }
  if (step != c.at("steps_run").get<int>()) return base + "steps_run";
  if (stopped != c.at("stopped_early").get<bool>()) return base + "stopped_early";
  return {};
}

}  // namespace

json verify_sampler(const std::string& path) {
  const size_t dot = path.rfind(".json");
  if (dot == std::string::npos)
    throw Fault(FaultKind::input, "--sampler " + path + " is not a .json file");
  std::string first;
  int cases = 0, steps = 0;
  try {
    const TensorFile tensors(path.substr(0, dot) + ".safetensors");
    for (const json& c : json::parse(read_text_file(path, kJsonBytesMax))) {
      const std::string difference = replay(c, tensors, steps);
      if (first.empty()) first = difference;
      ++cases;
    }
  } catch (const json::exception& error) {
    throw Fault(FaultKind::input, error.what(), path);
  }
  return {{"passed", first.empty() && cases > 0},
          {"cases", cases},
          {"steps", steps},
          {"first_difference", first}};
}

}  // namespace potluck
