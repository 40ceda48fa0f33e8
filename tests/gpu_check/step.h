// CardStep: head and all layers of a model of drawn weights on one backend, with passes that may
// be run again and again, each doing the same work.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "shard/head.h"
#include "shard/stage.h"
#include "tests/contract/backend/forwarding_backend.h"
#include "tests/gpu_check/card_model.h"
#include "tests/gpu_check/check.h"

namespace potluck {

// How the experts of the rows are chosen, instead of by the router's products, whose time is spent
// all the same: each as often as any other, or by Zipf's law.
enum class Routing : uint8_t { uniform, zipf };

// Choices of `rows` rows, [rows, used].
std::vector<int32_t> expert_choices(const ModelSpec& spec, int rows, Routing routing,
                                    uint32_t seed);

// Hands every call on, and writes fixed choices over the router's.
class RoutedBackend final : public ForwardingBackend {
 public:
  // Rows choose uniformly at first.
  RoutedBackend(std::unique_ptr<Backend> below, const ModelSpec& spec, uint32_t seed);
  void choose(Routing routing);
  void route(const Route& op) override;

 private:
  const ModelSpec& spec_;
  uint32_t seed_;
  Tensor chosen_;  // [canvas, used] i32
};

// A model that fits the card, with as many of the released model's layers as that allows.
struct StepModel {
  std::unique_ptr<ModelSource> source;
  int layers, layers_wanted;
};
StepModel step_model(const Check& check, Mix mix, uint64_t bytes_free);

class CardStep final {
 public:
  CardStep(const ModelSource& source, Backend& backend, int prompt, Precision precision);

  // Encodes the prompt, in passes of a canvas' rows.
  void encode_prompt();
  // Encodes a canvas' rows behind the prompt, without keeping them.
  void encode_canvas();
  // A self-conditioned step behind the prompt.
  void denoise();
  // It covers the last step's candidates and soft embeddings; nothing if one is not finite.
  std::optional<uint64_t> digest_of_last();
  int prompt() const { return prompt_; }

 private:
  Segment segment(Mode mode, int position, int rows) const;
  void pass(const Segment& segment, Tensor soft);

  const ModelSpec& spec_;
  Backend& backend_;
  int prompt_;
  Plan plan_;
  Head head_;
  Stage stage_;
  Tensor before_, after_;
  std::vector<int32_t> ids_;
  Candidates answer_;
};

}  // namespace potluck
