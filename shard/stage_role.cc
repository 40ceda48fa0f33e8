// A stage's step: unpack, run the layers, pack for the next; the last one answers an encode.
#include "shard/stage_role.h"

#include "shard/data_message.h"

namespace potluck {

StageRole::StageRole(const ModelSource& source, const Plan& plan, int index, Backend& backend)
    : spec_(source.spec()),
      plan_(plan),
      index_(index),
      backend_(backend),
      hop_(hop_out(plan, stage_peer(index))),
      stage_(source, plan, plan.stages[index].layers, backend) {}

PeerId StageRole::next() const {
  return last() ? kHeadPeer : stage_peer(index_ + 1);
}

void StageRole::rejoin(const Plan& plan, PeerId you) {
  plan_ = plan;
  index_ = you - stage_peer(0);
  stage_.kv().close_all();
}

Ready StageRole::sizes() const {
  Ready ready;
  ready.weight_bytes = stage_.weight_bytes();
  ready.kv_bytes = stage_.kv().bytes();
  ready.workspace_bytes = workspace_bytes(stage_.workspace());
  return ready;
}

DType StageRole::hop_before() const {
  return index_ == 0 ? plan_.head.hop_type : plan_.stages[index_ - 1].hop_type;
}

Message StageRole::run(const Message& message) {
  const Header& h = message.header;
  check_activations(message, spec_, plan_, hop_before());
  if (!stage_.kv().has(h.session)) refuse(h, "the session is not open here");
  const bool encode = h.kind == MessageKind::encode;
  check_length(h, stage_.kv().length(h.session));
  const Segment segment = segment_of(h, stage_.kv().slot(h.session));
  unpack(message, backend_, spec_.hidden, stage_.workspace().x);
  stage_.forward(std::span(&segment, 1));
  if (encode) stage_.kv().advance(h.session, h.rows);
  if (encode && last()) return encode_done(h);
  Message out = activations(h, backend_, stage_.workspace().x, spec_.hidden, hop_);
  out.header.destination = next();
  return out;
}

Message StageRole::encode_done(const Header& header) {
  backend_.wait();
  Message done;
  done.header = header;
  done.header.kind = MessageKind::encode_done;
  done.header.destination = kCoordinatorPeer;
  return done;
}

}  // namespace potluck
