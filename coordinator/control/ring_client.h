// RingClient: asks a ring that stays (potluck up), on this machine or elsewhere, over its control
// channel. The model's vocabulary comes from there, so that a client needs no model.
#pragma once

#include <functional>
#include <optional>

#include "coordinator/answerer.h"
#include "coordinator/control/ring_messages.h"
#include "transport/control/control_client.h"

namespace potluck {

class RingClient final : public Answerer {
 public:
  // keys: as ControlClient's. interrupted: whether somebody wants ask() to end. Throws Fault{lost}
  // where nobody answers.
  RingClient(const Address& server, std::function<LockKeys()> keys,
             std::function<bool()> interrupted);

  const ServedModel& served() const { return served_; }
  Vocabulary vocabulary();

  RequestResult ask(Request request, RequestEvents events) override;
  bool turn(Time deadline) override;
  void throw_failure() override;
  void close_session(uint64_t session) override;
  // The ring as the last answer found it.
  const Plan& plan() const override { return served_.plan; }

 private:
  std::optional<ControlMessage> next(Time deadline);

  ControlClient client_;
  const std::function<bool()> interrupted_;
  ServedModel served_;
  std::optional<Fault> failure_;
};

}  // namespace potluck
