// Knows other models' tensors by their names.
#include "topology/model/stray_tensors.h"

#include "topology/base/fault.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

constexpr const char* kOtherSenses[] = {"model.encoder.vision_tower.",
                                        "model.encoder.embed_vision.",
                                        "model.encoder.audio_tower.",
                                        "model.encoder.embed_audio.",
                                        "v.",
                                        "a.",
                                        "mm."};

struct Reason {
  const char* part;  // of a name
  const char* why;
};
// The first that fits is given.
constexpr Reason kReasons[] = {
    {"lm_head", "its head is not tied to the table of embeddings"},
    {"output.weight", "its head is not tied to the table of embeddings"},
    {"model.encoder.language_model.", "its encoder is not tied to its decoder"},
    {"per_layer", "embeddings by layer are of other models"},
    {"lora_", "it is of an adapter, which has to be merged into a model first"},
    {"nextn", "it is of a drafter, which guesses tokens ahead"},
    {"mtp", "it is of a drafter, which guesses tokens ahead"},
    {"_scale", "it is of a quantized checkpoint, whose other numbers mean nothing without it"},
    {"scale_inv", "it is of a quantized checkpoint, whose other numbers mean nothing without it"},
    {"zero_point", "it is of a quantized checkpoint, whose other numbers mean nothing without it"},
    {"qzeros", "it is of a quantized checkpoint, whose other numbers mean nothing without it"},
    {"absmax", "it is of a quantized checkpoint, whose other numbers mean nothing without it"},
    {"bias", "DiffusionGemma's layers have no bias"},
    {"rope_factors", "DiffusionGemma's rotation has no such factors"},
};

const char* reason(const std::string& name) {
  for (const Reason& reason : kReasons)
    if (name.find(reason.part) != std::string::npos) return reason.why;
  return "DiffusionGemma has no such tensor";
}

}  // namespace

bool of_other_senses(std::string_view name) {
  for (const char* prefix : kOtherSenses)
    if (name.starts_with(prefix)) return true;
  return false;
}

std::string tied_to(std::string_view name) {
  if (name == "lm_head.weight" || name == "output.weight") return "token_embd.weight";
  if (!name.starts_with(kEncoderPrefix)) return "";
  const std::string decoder =
      std::string(kDecoderPrefix).append(name.substr(kEncoderPrefix.size()));
  return gguf_name(decoder).value_or("");
}

std::string senses_note(size_t tensors) {
  return "skipped " + std::to_string(tensors) +
         (tensors == 1 ? " tensor that is" : " tensors that are") +
         " not of the text model (vision)";
}

void refuse_stray(const std::string& name, const std::string& shape, const std::string& file) {
  throw Fault(FaultKind::input,
              "tensor " + name + " " + shape +
                  " would be left out, and the answer be another: " + reason(name),
              Fix{"take a file of DiffusionGemma as it was published"}, file);
}

}  // namespace potluck
