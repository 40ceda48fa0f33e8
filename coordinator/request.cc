// Checks a request before anything is sent for it, and says what one has waited for.
#include "coordinator/request.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace potluck {

std::string stall_text(const Stall& stall) {
  char parts[256];
  std::snprintf(parts, sizeof(parts),
                "stalled for %.2f s: detect %.2f + re-plan %.2f + load %.2f + encode %.2f + lost "
                "steps %.2f",
                stall.total(), stall.detect_seconds, stall.replan_seconds, stall.load_seconds,
                stall.encode_seconds, stall.lost_seconds);
  return std::string(parts) + " (" + stall.why + ")";
}

void check_prompt_fits(size_t prompt, int canvas, int ctx_size) {
  const size_t need = prompt + canvas;
  if (need <= static_cast<size_t>(ctx_size)) return;
  throw Fault(FaultKind::input,
              "the prompt has " + std::to_string(prompt) + " tokens; with a canvas of " +
                  std::to_string(canvas) + " it needs a context of " + std::to_string(need) +
                  ", this one has " + std::to_string(ctx_size),
              Fix{"raise the context", Setting::context});
}

void check_request(const Request& request, const ModelSpec& spec, const Plan& plan) {
  if (request.prompt.empty())
    throw Fault(FaultKind::input, "the prompt is empty", Fix{"give at least one token"});
  if (request.max_tokens < 1)
    throw Fault(FaultKind::input,
                "cannot generate " + std::to_string(request.max_tokens) + " tokens");
  check_prompt_fits(request.prompt.size(), spec.canvas, plan.ctx_size);
  for (int32_t id : request.prompt)
    if (id < 0 || id >= spec.vocab)
      throw Fault(FaultKind::input, "prompt id " + std::to_string(id) +
                                        " is outside the vocabulary of " +
                                        std::to_string(spec.vocab));
}

int tokens_at_most(int wanted, size_t prompt, int canvas, int ctx_size) {
  const int room = (ctx_size - static_cast<int>(prompt)) / canvas * canvas;
  return wanted == kUntilTheEnd ? room : std::min(wanted, room);
}

}  // namespace potluck
