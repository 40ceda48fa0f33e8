// Writes and reads requests, reports and results as JSON.
#include "coordinator/control/ring_messages.h"

#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr char kWhere[] = "a message of a ring";

[[noreturn]] void refuse(const std::string& why) {
  throw Fault(FaultKind::input, why, Fix{}, kWhere);
}

// 64 bits do not survive as a number of JSON everywhere.
uint64_t wide_number(const JsonFields& fields, const std::string& key) {
  const std::string text = fields.text(key);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    fields.refuse("its " + key + " is \"" + text + "\"");
  return value;
}

bool is_true(const JsonFields& fields, const std::string& key) {
  const Json& value = fields.at(key);
  if (!value.is_boolean()) fields.refuse("its " + key + " is neither true nor false");
  return value.get<bool>();
}

std::vector<double> numbers(const JsonFields& fields, const std::string& key) {
  std::vector<double> values;
  for (const Json& each : fields.at(key)) {
    if (!each.is_number()) fields.refuse("its " + key + " holds what is no number");
    values.push_back(each.get<double>());
  }
  return values;
}

Json json_of(const GenerationSpec& generation) {
  return {{"max_steps", generation.max_steps},
          {"t_min", generation.t_min},
          {"t_max", generation.t_max},
          {"entropy_bound", generation.entropy_bound},
          {"confidence_threshold", generation.confidence_threshold},
          {"stability_threshold", generation.stability_threshold},
          {"eos_ids", generation.eos_ids},
          {"pad_id", generation.pad_id},
          {"bos_id", generation.bos_id},
          {"add_bos", generation.add_bos}};
}

GenerationSpec generation_of(const JsonFields& fields) {
  GenerationSpec generation;
  generation.max_steps = fields.integer("max_steps");
  generation.t_min = fields.number("t_min");
  generation.t_max = fields.number("t_max");
  generation.entropy_bound = fields.number("entropy_bound");
  generation.confidence_threshold = fields.number("confidence_threshold");
  generation.stability_threshold = fields.integer("stability_threshold");
  const std::vector<int> ends = fields.integers("eos_ids");
  generation.eos_ids.assign(ends.begin(), ends.end());
  generation.pad_id = fields.integer("pad_id");
  generation.bos_id = fields.integer("bos_id");
  generation.add_bos = is_true(fields, "add_bos");
  return generation;
}

Json json_of(const std::vector<Hop>& hops) {
  Json list = Json::array();
  for (const Hop& hop : hops)
    list.push_back({hop.peer, hop.queue_us, hop.compute_us, hop.payload_bytes, hop.header_bytes});
  return list;
}

std::vector<Hop> hops_of(const JsonFields& fields, const std::string& key) {
  std::vector<Hop> hops;
  for (const Json& each : fields.at(key)) {
    if (!each.is_array() || each.size() != 5 ||
        !std::all_of(each.begin(), each.end(), [](const Json& n) { return n.is_number(); }))
      fields.refuse("its " + key + " are no hops");
    hops.push_back({each[0].get<PeerId>(), each[1].get<uint32_t>(), each[2].get<uint32_t>(),
                    each[3].get<uint64_t>(), each[4].get<uint32_t>()});
  }
  return hops;
}

Json json_of(const std::vector<Stall>& stalls) {
  Json list = Json::array();
  for (const Stall& stall : stalls)
    list.push_back({{"why", stall.why},
                    {"detect", stall.detect_seconds},
                    {"replan", stall.replan_seconds},
                    {"load", stall.load_seconds},
                    {"encode", stall.encode_seconds},
                    {"lost", stall.lost_seconds}});
  return list;
}

std::vector<Stall> stalls_of(const JsonFields& fields, const std::string& key) {
  const Json& list = fields.at(key);
  if (!list.is_array()) fields.refuse("its " + key + " are no list");
  std::vector<Stall> stalls;
  for (const Json& each : list) {
    const JsonFields stall(each, kWhere);
    stalls.push_back({stall.text("why"), stall.number("detect"), stall.number("replan"),
                      stall.number("load"), stall.number("encode"), stall.number("lost")});
  }
  return stalls;
}

Json workers_json(const Plan& plan) {
  Json stages = Json::array();
  for (const WorkerPlan& stage : plan.stages)
    stages.push_back({{"name", stage.name}, {"layers", {stage.layers.begin, stage.layers.end}}});
  return {{"head", plan.head.name}, {"stages", stages}};
}

void take_workers(const JsonFields& fields, Plan& plan) {
  plan.head.name = fields.text("head");
  plan.stages.clear();
  for (const Json& each : fields.at("stages")) {
    const JsonFields stage(each, kWhere);
    const std::vector<int> layers = stage.integers("layers");
    if (layers.size() != 2) stage.refuse("its layers are no range");
    WorkerPlan worker;
    worker.name = stage.text("name");
    worker.layers = {layers[0], layers[1]};
    plan.stages.push_back(std::move(worker));
  }
}

// Whoever says where they went by the plan finds each of them there.
void check_hops(const JsonFields& fields, const std::vector<Hop>& hops, const Plan& plan) {
  for (const Hop& hop : hops)
    if (hop.peer != kCoordinatorPeer && !plan.has_worker(hop.peer))
      fields.refuse("its hops lead to worker " + std::to_string(hop.peer) + ", which is not there");
}

DType dtype_of(const JsonFields& fields, const std::string& key) {
  const std::string name = fields.text(key);
  const auto type = dtype_from_name(name);
  if (!type) fields.refuse("its " + key + " is \"" + name + "\"");
  return *type;
}

// "1" for an accepted position, "0" for another.
std::string marks(const std::vector<uint8_t>& accepted) {
  std::string text;
  for (const uint8_t each : accepted) text += each ? '1' : '0';
  return text;
}

void tell_step(const JsonFields& fields, const std::string& bytes, const RequestEvents& events) {
  Candidates candidates;
  candidates.argmax = ids_of(bytes);
  StepDecision decision;
  for (const char mark : fields.text("accepted")) decision.accepted.push_back(mark == '1');
  if (decision.accepted.size() != candidates.argmax.size()) fields.refuse("its ids are too few");
  decision.mean_entropy = fields.number("mean_entropy");
  StepReport report;
  report.canvas = fields.integer("canvas");
  report.step = fields.integer("step");
  report.max_steps = fields.integer("max_steps");
  report.temperature = fields.number("temperature");
  report.step_ms = fields.number("step_ms");
  report.candidates = &candidates;
  report.decision = &decision;
  if (events.step) events.step(report);
}

class Reader {
 public:
  explicit Reader(const std::string& bytes) : bytes_(bytes) {}
  uint32_t number() {
    uint32_t value = 0;
    if (bytes_.size() - at_ < sizeof(value)) refuse("the vocabulary is cut off");
    std::memcpy(&value, bytes_.data() + at_, sizeof(value));
    at_ += sizeof(value);
    return value;
  }
  std::string text() {
    const uint32_t size = number();
    if (bytes_.size() - at_ < size) refuse("the vocabulary is cut off");
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }

 private:
  const std::string& bytes_;
  size_t at_ = 0;
};

void put(std::string& bytes, uint32_t value) {
  bytes.append(std::string(sizeof(value), '\0'));
  std::memcpy(bytes.data() + bytes.size() - sizeof(value), &value, sizeof(value));
}

void put(std::string& bytes, const std::string& text) {
  put(bytes, static_cast<uint32_t>(text.size()));
  bytes += text;
}

}  // namespace

std::string ids_bytes(std::span<const int32_t> ids) {
  std::string bytes(ids.size_bytes(), '\0');
  if (!ids.empty()) std::memcpy(bytes.data(), ids.data(), bytes.size());
  return bytes;
}

std::vector<int32_t> ids_of(const std::string& bytes) {
  if (bytes.size() % sizeof(int32_t)) refuse("its ids are cut off");
  std::vector<int32_t> ids(bytes.size() / sizeof(int32_t));
  if (!ids.empty()) std::memcpy(ids.data(), bytes.data(), bytes.size());
  return ids;
}

Json request_json(const Request& request) {
  return {{"session", std::to_string(request.session)}, {"keep_session", request.keep_session},
          {"max_tokens", request.max_tokens},           {"seed", std::to_string(request.seed)},
          {"answer", std::to_string(request.answer)},   {"generation", json_of(request.generation)},
          {"argmax", request.draw == Draw::argmax}};
}

Request request_of(const Json& json, const std::string& prompt) {
  const JsonFields fields(json, kWhere);
  Request request;
  request.prompt = ids_of(prompt);
  request.session = wide_number(fields, "session");
  request.keep_session = is_true(fields, "keep_session");
  request.max_tokens = fields.integer("max_tokens");
  request.seed = wide_number(fields, "seed");
  request.answer = static_cast<uint32_t>(wide_number(fields, "answer"));
  request.generation = generation_of(fields.object("generation"));
  request.draw = is_true(fields, "argmax") ? Draw::argmax : Draw::sample;
  return request;
}

Json result_json(const RequestResult& result, const Plan& ring) {
  return {{"steps", result.steps},
          {"step_ms", result.step_ms},
          {"encode_seconds", result.encode_seconds},
          {"total_seconds", result.total_seconds},
          {"session", std::to_string(result.session)},
          {"reused", result.reused},
          {"kv_length", result.kv_length},
          {"hops", json_of(result.last_hops)},
          {"stopped_by_end_id", result.stopped_by_end_id},
          {"stalls", json_of(result.stalls)},
          {"ring", workers_json(ring)}};
}

RequestResult result_of(const Json& json, const std::string& ids, Plan& ring) {
  const JsonFields fields(json, kWhere);
  RequestResult result;
  result.ids = ids_of(ids);
  result.steps = fields.integers("steps");
  result.step_ms = numbers(fields, "step_ms");
  result.encode_seconds = fields.number("encode_seconds");
  result.total_seconds = fields.number("total_seconds");
  result.session = wide_number(fields, "session");
  result.reused = fields.integer("reused");
  result.kv_length = fields.integer("kv_length");
  result.last_hops = hops_of(fields, "hops");
  result.stopped_by_end_id = is_true(fields, "stopped_by_end_id");
  result.stalls = stalls_of(fields, "stalls");
  take_workers(fields.object("ring"), ring);
  check_hops(fields, result.last_hops, ring);
  return result;
}

Json event_json(const EncodeReport& report) {
  return {{"event", "encoding"}, {"done", report.done}, {"total", report.total}};
}

Json event_json(const WaitReport& report) {
  return {{"event", "waiting"}, {"what", report.what}, {"seconds", report.seconds}};
}

Json event_json(const StepReport& report) {
  return {{"event", "step"},
          {"canvas", report.canvas},
          {"step", report.step},
          {"max_steps", report.max_steps},
          {"temperature", report.temperature},
          {"step_ms", report.step_ms},
          {"mean_entropy", report.decision->mean_entropy},
          {"accepted", marks(report.decision->accepted)}};
}

Json event_json(const CanvasReport&) {
  return {{"event", "canvas_done"}};
}

void tell_event(const Json& json, const std::string& bytes, const RequestEvents& events) {
  const JsonFields fields(json, kWhere);
  const std::string event = fields.text("event");
  if (event == "encoding" && events.encoding)
    events.encoding({0, fields.integer("done"), fields.integer("total")});
  if (event == "waiting" && events.waiting)
    events.waiting({0, fields.text("what"), fields.number("seconds")});
  if (event == "step") tell_step(fields, bytes, events);
  if (event == "canvas_done" && events.canvas_done) {
    const std::vector<int32_t> ids = ids_of(bytes);
    events.canvas_done({0, ids});
  }
}

Json served_json(const ServedModel& served) {
  return {{"model", served.model},
          {"canvas", served.spec.canvas},
          {"vocab", served.spec.vocab},
          {"generation", json_of(served.spec.generation)},
          {"ring", workers_json(served.plan)},
          {"stream", dtype_name(served.plan.stream)},
          {"kv", dtype_name(served.plan.kv)},
          {"context", served.plan.ctx_size},
          {"chunk", served.plan.chunk},
          {"vocabulary_bytes", std::to_string(served.vocabulary_bytes)}};
}

ServedModel served_of(const Json& json) {
  const JsonFields fields(json, kWhere);
  ServedModel served;
  served.model = fields.text("model");
  served.spec.canvas = fields.integer("canvas");
  served.spec.vocab = fields.integer("vocab");
  served.spec.generation = generation_of(fields.object("generation"));
  take_workers(fields.object("ring"), served.plan);
  served.plan.stream = dtype_of(fields, "stream");
  served.plan.kv = dtype_of(fields, "kv");
  served.plan.ctx_size = fields.integer("context");
  served.plan.chunk = fields.integer("chunk");
  served.vocabulary_bytes = wide_number(fields, "vocabulary_bytes");
  if (served.spec.canvas < 1 || served.vocabulary_bytes > kVocabularyBytesMax)
    fields.refuse("its model cannot be");
  return served;
}

std::string vocabulary_bytes(const Vocabulary& vocabulary) {
  std::string bytes;
  put(bytes, static_cast<uint32_t>(vocabulary.tokens.size()));
  for (const std::string& token : vocabulary.tokens) put(bytes, token);
  for (const TokenType type : vocabulary.types) put(bytes, static_cast<uint32_t>(type));
  put(bytes, static_cast<uint32_t>(vocabulary.merges.size()));
  for (const auto& [left, right] : vocabulary.merges) {
    put(bytes, left);
    put(bytes, right);
  }
  put(bytes, vocabulary.skips_merges);
  return bytes;
}

Vocabulary vocabulary_of(const std::string& bytes) {
  Reader reader(bytes);
  Vocabulary vocabulary;
  const uint32_t tokens = reader.number();
  for (uint32_t i = 0; i < tokens; ++i) vocabulary.tokens.push_back(reader.text());
  for (uint32_t i = 0; i < tokens; ++i)
    vocabulary.types.push_back(static_cast<TokenType>(reader.number()));
  const uint32_t merges = reader.number();
  for (uint32_t i = 0; i < merges; ++i) {
    std::string left = reader.text();
    vocabulary.merges.emplace_back(std::move(left), reader.text());
  }
  vocabulary.skips_merges = reader.number() != 0;
  return vocabulary;
}

}  // namespace potluck
