// The checks and the packing that head and stages share.
#include "shard/data_message.h"

#include <cmath>
#include <utility>
#include <vector>

#include "shard/card_port.h"

namespace potluck {

void refuse(const Header& header, const std::string& why) {
  throw Fault(FaultKind::refused, std::string(message_kind_name(header.kind)) + " of session " +
                                      std::to_string(header.session) + ": " + why);
}

namespace {

// At most all workers of the plan, before the head makes candidates of it.
void check_hops(const Header& h, const Plan& plan) {
  const size_t hops_max = plan.stage_count() + 1;
  if (h.hops.size() > hops_max)
    refuse(h, "it has passed " + std::to_string(h.hops.size()) + " workers; the plan has " +
                  std::to_string(hops_max));
  for (const Hop& hop : h.hops)
    if (!plan.has_worker(hop.peer))
      refuse(h,
             "it has passed peer " + std::to_string(hop.peer) + ", which the plan does not have");
}

}  // namespace

void check_shape(const Message& message, const ModelSpec& spec, const Plan& plan,
                 size_t row_bytes) {
  const Header& h = message.header;
  check_hops(h, plan);
  const bool encode = h.kind == MessageKind::encode;
  const int rows_max = encode ? plan.chunk : spec.canvas;
  if (h.rows < 1 || h.rows > rows_max)
    refuse(h,
           std::to_string(h.rows) + " rows; at most " + std::to_string(rows_max) + " are planned");
  if (!encode && h.rows != spec.canvas)
    refuse(h,
           "a canvas has " + std::to_string(spec.canvas) + " rows, not " + std::to_string(h.rows));
  if (h.first_position != h.kv_length_before || h.first_position < 0 ||
      h.first_position > plan.ctx_size - h.rows)
    refuse(h, "position " + std::to_string(h.first_position) + " does not fit a context of " +
                  std::to_string(plan.ctx_size) + " after " + std::to_string(h.kv_length_before));
  if (!(h.temperature > 0) || !std::isfinite(1.0f / static_cast<float>(h.temperature)))
    refuse(h, "a temperature of " + std::to_string(h.temperature) + "; it must be positive");
  if (message.payload.bytes != row_bytes * h.rows)
    refuse(h, "payload of " + std::to_string(message.payload.bytes) + " bytes; " +
                  std::to_string(row_bytes * h.rows) + " expected");
}

void check_activations(const Message& message, const ModelSpec& spec, const Plan& plan, DType hop) {
  if (message.header.dtype != hop)
    refuse(message.header, std::string("activations in ") + dtype_name(message.header.dtype) +
                               "; the plan says " + dtype_name(hop));
  check_shape(message, spec, plan, row_bytes(hop, spec.hidden));
}

void check_length(const Header& header, int kv_length) {
  if (header.kv_length_before != kv_length)
    refuse(header, "expects " + std::to_string(header.kv_length_before) + " cached tokens, has " +
                       std::to_string(kv_length));
}

Segment segment_of(const Header& header, int slot) {
  Segment s;
  s.mode = header.kind == MessageKind::encode ? Mode::encode : Mode::denoise;
  s.slot = slot;
  s.position = header.first_position;
  s.rows = header.rows;
  s.inverse_temperature = 1.0 / header.temperature;
  s.key = header.key;
  return s;
}

HopOut hop_out(const Plan& plan, PeerId self) {
  const WorkerPlan& me = plan.worker(self);
  HopOut hop{me.hop_type, nullptr};
  if (me.by_nccl) hop.memory = std::make_shared<CardMemory>(open_card_port(me.device));
  return hop;
}

Message activations(const Header& header, Backend& backend, Tensor x, int hidden,
                    const HopOut& hop) {
  Message out;
  out.header = header;
  out.header.dtype = hop.type;
  const size_t bytes = row_bytes(hop.type, hidden) * header.rows;
  if (hop.memory) {
    const std::shared_ptr<std::byte> piece = hop.memory->take(bytes);
    backend.pack(x, hop.type, header.rows, hidden, Tensor{piece.get(), bytes});
    backend.wait();
    out.payload = card_payload(piece, bytes);
    return out;
  }
  std::vector<std::byte> wire(bytes);
  backend.pack(x, hop.type, header.rows, hidden, wire.data());
  backend.wait();
  out.payload = own_payload(std::move(wire));
  return out;
}

void unpack(const Message& message, Backend& backend, int hidden, Tensor x) {
  const Header& h = message.header;
  const Payload& payload = message.payload;
  if (payload.memory == MemoryKind::host)
    return backend.unpack(payload.data, h.dtype, h.rows, hidden, x);
  const Tensor wire{const_cast<std::byte*>(payload.data), payload.bytes};  // it is read alone
  backend.unpack(wire, h.dtype, h.rows, hidden, x);
}

}  // namespace potluck
