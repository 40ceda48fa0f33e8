// Request: what somebody asks of a ring, what comes back, and what is reported on the way. Every
// report carries the id of its request, so that one listener can follow many.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/sampler.h"
#include "topology/base/fault.h"
#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"
#include "transport/message.h"

namespace potluck {

struct Request {
  // Every id before the answer. What the session holds already is not encoded again.
  std::vector<int32_t> prompt;
  // 0 asks for a new session; else it is one that was kept open. If the prompt does not begin with
  // all that it holds, it goes back to what they share; if it no longer can, a new one takes its
  // place.
  uint64_t session = 0;
  bool keep_session = false;  // leaves it open afterwards
  int max_tokens = 256;       // at least 1 (tokens_at_most()); canvases = ⌈max_tokens / C⌉
  uint64_t seed = 0;
  uint32_t answer = 0;        // of a chat: which one; answers under one seed differ by it
  GenerationSpec generation;  // with the user's overrides
  Draw draw = Draw::sample;
};

// A wait that was no part of the work: the ring lost a worker, or took another shape. Its parts add
// up to what the answer came later than it would have.
struct Stall {
  std::string why;
  double detect_seconds = 0;  // until it was certain who is lost
  double replan_seconds = 0;  // until there was another plan, and its new workers had started
  double load_seconds = 0;    // until its workers had loaded their parts
  double encode_seconds = 0;  // until all ids were encoded again
  double lost_seconds = 0;    // steps that were taken again
  double total() const {
    return detect_seconds + replan_seconds + load_seconds + encode_seconds + lost_seconds;
  }
};

// "stalled for 1.20 s: detect 0.10 + re-plan … (lost worker nas …)"
std::string stall_text(const Stall& stall);

struct RequestResult {
  std::vector<int32_t> ids;     // trimmed to max_tokens and to the end id (which is kept)
  std::vector<int> steps;       // of each canvas
  std::vector<double> step_ms;  // of all steps in order
  double encode_seconds = 0, total_seconds = 0;
  uint64_t session = 0;
  int reused = 0;              // tokens of the prompt that the session held already
  int kv_length = 0;           // tokens that every stage holds afterwards
  std::vector<Hop> last_hops;  // of the last step: bytes and times of each link
  bool stopped_by_end_id = false;
  std::vector<Stall> stalls;
};

struct EncodeReport {  // once before the first chunk, and after each
  uint64_t request = 0;
  int done = 0, total = 0;  // tokens of the prompt that the session did not hold
};

struct StepReport {  // after each denoising step
  uint64_t request = 0, session = 0;
  int canvas = 0, step = 0, max_steps = 0;
  double temperature = 0;
  const Candidates* candidates = nullptr;
  const StepDecision* decision = nullptr;
  double step_ms = 0;
  std::vector<Hop> hops;
};

struct CanvasReport {  // a canvas is finished
  uint64_t request = 0;
  std::span<const int32_t> ids;  // the part of it that belongs to the answer
};

struct WaitReport {  // nothing has come from the ring for a while
  uint64_t request = 0;
  std::string what;  // "step 0 of canvas 0"
  double seconds = 0;
};

struct StallReport {  // the request is again where it was when the ring was disturbed
  uint64_t request = 0;
  Stall stall;
};

struct RequestEvents {  // called on the thread of whoever drives the pipeline
  std::function<void(const EncodeReport&)> encoding;
  std::function<void(const WaitReport&)> waiting;
  std::function<void(const StepReport&)> step;
  std::function<void(const CanvasReport&)> canvas_done;
  std::function<void(const StallReport&)> stalled;
  std::function<void(uint64_t request, const RequestResult&)> finished;
  std::function<void(uint64_t request, const Fault&)> failed;
};

// Throws Fault{input} when so many tokens and a canvas are more than the context.
void check_prompt_fits(size_t prompt, int canvas, int ctx_size);
// Throws Fault{input}: an empty prompt, one past the context, an id outside the vocabulary, no
// tokens to generate.
void check_request(const Request& request, const ModelSpec& spec, const Plan& plan);

inline constexpr int kUntilTheEnd = -1;  // wanted: as many tokens as the answer takes

// The max_tokens of a request behind so many prompt tokens: whole canvases of what the context has
// left, and no more than `wanted` (kUntilTheEnd sets no other limit).
int tokens_at_most(int wanted, size_t prompt, int canvas, int ctx_size);

}  // namespace potluck
