// Clients and a ring that stays talk to each other by control messages (transport/control):
// requests, the reports of their progress, results, and what a client has to know of the model. Ids
// go behind the JSON, as little-endian 32-bit numbers.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "coordinator/request.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"

namespace potluck {

// Verbs of the control channel.
inline constexpr char kAskVerb[] = "ring.ask";      // a request → events, and its result
inline constexpr char kCloseVerb[] = "ring.close";  // {"session"} → {}
inline constexpr char kModelVerb[] = "ring.model";  // {} → served_json()
// {"offset"} → the vocabulary's bytes from there on, kVocabularyChunk of them at most
inline constexpr char kVocabularyVerb[] = "ring.vocabulary";
inline constexpr char kStatusVerb[] = "ring.status";  // {} → what `potluck status --json` prints
inline constexpr char kLogsVerb[] = "ring.logs";      // {} → {"logs": {worker: text}}

// {"host", "end"} → {"done", "why", "ring"}: why it was not, and the ring as it is now
inline constexpr char kDrainVerb[] = "ring.drain";

inline constexpr size_t kVocabularyChunk = 4 << 20;
inline constexpr size_t kVocabularyBytesMax = 256u << 20;

std::string ids_bytes(std::span<const int32_t> ids);
std::vector<int32_t> ids_of(const std::string& bytes);  // throws Fault{input}

// The functions that read throw Fault{input} for what is not as the others write it.
nlohmann::json request_json(const Request& request);  // its prompt goes behind
Request request_of(const nlohmann::json& json, const std::string& prompt);
// Its ids go behind, and the ring that it ends on goes with it: that may be another one by then.
nlohmann::json result_json(const RequestResult& result, const Plan& ring);
// The ring goes into `ring`, whose other fields stay as they are.
RequestResult result_of(const nlohmann::json& json, const std::string& ids, Plan& ring);

// Reports of progress: an "event" is the name of a field of RequestEvents.
nlohmann::json event_json(const EncodeReport& report);
nlohmann::json event_json(const WaitReport& report);
nlohmann::json event_json(const StepReport& report);    // its likeliest ids go behind
nlohmann::json event_json(const CanvasReport& report);  // its ids go behind
// Calls the event that a message tells of.
void tell_event(const nlohmann::json& json, const std::string& bytes, const RequestEvents& events);

// A client has to know this much: the model's name, canvas and generation, and the plan in outline.
struct ServedModel {
  std::string model;  // as -m named it
  ModelSpec spec;     // its canvas, vocabulary and generation alone
  Plan plan;          // who has which layers, and what counts for a request
  uint64_t vocabulary_bytes = 0;
};
nlohmann::json served_json(const ServedModel& served);
ServedModel served_of(const nlohmann::json& json);

std::string vocabulary_bytes(const Vocabulary& vocabulary);
Vocabulary vocabulary_of(const std::string& bytes);

}  // namespace potluck
