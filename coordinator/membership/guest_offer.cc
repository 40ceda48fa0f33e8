// Writes an offer as JSON, and reads one that anybody let in may have written.
#include "coordinator/membership/guest_offer.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr size_t kNameMax = 80;
constexpr double kMsMax = 1e6;

std::string name_of_field(const JsonFields& fields, const char* field) {
  const std::string name = fields.text(field);
  if (!is_plain_name(name) || name.size() > kNameMax)
    fields.refuse("\"" + std::string(field) + "\" is no name");
  return name;
}

double ms_in(const JsonFields& fields, const char* field) {
  const double ms = fields.number_or(field, 0);
  if (!std::isfinite(ms) || ms < 0 || ms > kMsMax)
    fields.refuse("\"" + std::string(field) + "\" is no time");
  return ms;
}

std::optional<DeviceSpeed> speed_in(const JsonFields& fields) {
  if (!fields.has("speed")) return std::nullopt;
  const JsonFields said = fields.object("speed");
  DeviceSpeed speed;
  speed.sliding_layer_ms = ms_in(said, "sliding_layer_ms");
  speed.full_layer_ms = ms_in(said, "full_layer_ms");
  speed.head_ms = ms_in(said, "head_ms");
  speed.message_ms = ms_in(said, "message_ms");
  speed.source = Source::measured;
  return speed;
}

GuestWorker worker_in(const Json& body, const std::string& where) {
  const JsonFields fields(body, where);
  GuestWorker worker;
  worker.device.name = name_of_field(fields, "name");
  worker.device.device = name_of_field(fields, "device");
  worker.endpoint = fields.text("endpoint");
  const auto endpoint = parse_endpoint(worker.endpoint);
  if (!endpoint || endpoint->scheme != "tcp" || is_loopback(*endpoint) || is_any_address(*endpoint))
    fields.refuse("\"endpoint\" is " + one_line(worker.endpoint) +
                  ", where other machines reach nobody");
  const std::vector<int64_t> memory = fields.sizes("memory_bytes");
  worker.device.memory_bytes = memory.empty() ? 0 : static_cast<uint64_t>(memory[0]);
  worker.device.threads = fields.integer_or("threads", 0);
  worker.device.may_be_head = false;  // a guest never sees the text
  worker.device.speed = speed_in(fields);
  return worker;
}

}  // namespace

Json json_of(const GuestOffer& offer) {
  Json workers = Json::array();
  for (const GuestWorker& worker : offer.workers) {
    Json each = {{"name", worker.device.name},
                 {"device", worker.device.device},
                 {"endpoint", worker.endpoint},
                 {"memory_bytes", {worker.device.memory_bytes}},
                 {"threads", worker.device.threads}};
    if (const auto& speed = worker.device.speed)
      each["speed"] = {{"sliding_layer_ms", speed->sliding_layer_ms},
                       {"full_layer_ms", speed->full_layer_ms},
                       {"head_ms", speed->head_ms},
                       {"message_ms", speed->message_ms}};
    workers.push_back(std::move(each));
  }
  return {{"host", offer.host}, {"workers", workers}};
}

GuestOffer guest_offer_of(const Json& body, const std::string& key, const std::string& where) {
  const JsonFields fields(body, where);
  GuestOffer offer{name_of_field(fields, "host"), key, {}};
  const Json& workers = fields.at("workers");
  if (!workers.is_array() || workers.empty() || workers.size() > kGuestWorkersMax)
    fields.refuse("\"workers\" must be a list of 1 to " + std::to_string(kGuestWorkersMax));
  for (const Json& worker : workers) offer.workers.push_back(worker_in(worker, where));
  return offer;
}

std::string why_in(const Json& reply, const std::string& worker) {
  const auto all = reply.find("why");
  if (all == reply.end() || !all->is_object()) return "";
  const auto why = all->find(worker);
  return why != all->end() && why->is_string() ? one_line(why->get<std::string>()) : "";
}

// Workers that are to leave together have one reason.
std::string why_kept(const Json& reply) {
  std::string kept;
  for (const auto& [worker, part] : reply.at("parts").items()) {
    const std::string why = part == "" ? "" : why_in(reply, worker);
    if (kept.find(why) == std::string::npos) kept += (kept.empty() ? "" : "; ") + why;
  }
  return kept;
}

WorkerPlan worker_plan_of(const GuestWorker& worker, const std::string& key) {
  WorkerPlan plan;
  plan.name = worker.device.name;
  plan.endpoint = worker.endpoint;
  plan.device = worker.device.device;
  plan.threads = worker.device.threads;
  plan.memory_bytes = worker.device.memory_bytes;
  plan.key = key;
  plan.may_be_head = worker.device.may_be_head;
  return plan;
}

}  // namespace potluck
