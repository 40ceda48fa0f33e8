// Pipeline: the coordinator's state machine. Connects the workers of a plan, loads them, and drives
// requests: encode the prompt in chunks, denoise canvas after canvas, commit-encode between them.
// Text never enters here: ids in, ids and events out. Session ids are never reused.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/sampler.h"
#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"
#include "transport/state_machine.h"

namespace potluck {

struct Request {
  std::vector<int32_t> prompt;    // ids to encode now (after what the session already holds)
  uint64_t continue_session = 0;  // 0: a new session; else one that is still open (chat)
  bool keep_session = false;      // leave it open afterwards
  int max_tokens = 256;           // -n; canvases = ⌈max_tokens / C⌉
  uint64_t seed = 0;              // of all noise
  uint32_t answer = 0;            // the answer's number under that seed
  GenerationSpec generation;      // with the user's overrides
};

struct StepReport {  // after each denoising step
  uint64_t session = 0;
  int canvas = 0, step = 0, max_steps = 0;
  double temperature = 0;
  const Candidates* candidates = nullptr;
  const StepDecision* decision = nullptr;
  double step_ms = 0;
  std::vector<Hop> hops;
};

struct RequestResult {
  std::vector<int32_t> ids;     // trimmed to max_tokens and to the end id (which is kept)
  std::vector<int> steps;       // a canvas
  std::vector<double> step_ms;  // all steps in order
  double encode_seconds = 0, total_seconds = 0;
  uint64_t session = 0;
  int kv_length = 0;                 // encoded tokens on every stage
  std::vector<int32_t> uncommitted;  // ids emitted but not yet encoded (the last canvas)
  std::vector<Hop> last_hops;        // of the last step: bytes and times a link
  bool stopped_by_end_id = false;
};

struct PipelineEvents {  // called from handle() and tick(), on their thread
  std::function<void(PeerId worker, const Hello&)> connected;
  std::function<void(PeerId worker, const Ready&)> ready;
  std::function<void()> loaded;                       // all are ready
  std::function<void(int done, int total)> encoding;  // prompt tokens
  std::function<void(const StepReport&)> step;
  // A canvas is finished. ids: what of it belongs to the answer, as in RequestResult::ids.
  std::function<void(uint64_t request, const std::vector<int32_t>& ids)> canvas_done;
  std::function<void(uint64_t request, const RequestResult&)> finished;
  std::function<void(uint64_t request, const Fault&)> failed;  // request 0: the ring itself
};

struct PipelineOptions {
  double step_timeout_seconds = 0;  // 0: max(30 s, 5 × the slowest step seen), after a first one
  double load_timeout_seconds = 600;
  uint64_t incarnation = 0;
};

// Throws Fault{input} when so many tokens and a canvas are more than the context.
void check_prompt_fits(size_t prompt, int canvas, int ctx_size);

class Pipeline final : public StateMachine {
 public:
  Pipeline(const ModelSpec& spec, Plan plan, Fingerprint model, PipelineEvents events,
           PipelineOptions options);
  ~Pipeline() override;

  Outbox start(Time now);  // connect, load
  // Queues a request; returns its id. It runs when the ring is loaded and a session is free.
  uint64_t submit(Request request);
  void cancel(uint64_t request);
  void close_session(uint64_t session);
  void shut_down();  // tells the workers and finishes

  Outbox handle(Time now, Event event) override;
  Outbox tick(Time now) override;
  bool idle_work() override { return false; }  // it only ever answers

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace potluck
