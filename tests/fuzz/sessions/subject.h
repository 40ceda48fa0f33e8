// The subject of a session fuzzer: a small model, workers and coordinators that are real but for
// their wires, and what an undisturbed ring answers.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/pipeline.h"
#include "shard/worker.h"
#include "tests/fuzz/sessions/party.h"
#include "topology/model/model_source.h"

namespace potluck {

inline constexpr size_t kWorkers = 3;  // a head and two stages, in a good plan

// A model whose tensors are made once. It can be told to fail, as a disk does.
class HeldModel final : public ModelSource {
 public:
  explicit HeldModel(std::unique_ptr<ModelSource> made) : made_(std::move(made)) {}

  enum class Failure { fault, no_memory, other };
  // The tensor after `reads` more fails, once.
  void fail(Failure how, int reads) const {
    failure_ = how;
    reads_left_ = reads;
  }
  void heal() const { failure_.reset(); }

  const ModelSpec& spec() const override { return made_->spec(); }
  const std::vector<TensorInfo>& tensors() const override { return made_->tensors(); }
  TensorBytes map(const TensorInfo& tensor) const override;
  void drop_cached() const override {}
  Vocabulary vocabulary() const override { return made_->vocabulary(); }
  std::string description() const override { return made_->description(); }
  std::vector<std::string> notes() const override { return {}; }

 private:
  const std::unique_ptr<ModelSource> made_;
  mutable std::map<std::string, TensorBytes> held_;
  mutable std::optional<Failure> failure_;
  mutable int reads_left_ = 0;
};

const std::shared_ptr<const HeldModel>& the_model();
const Plan& the_plan();  // of the workers in their order
std::string endpoint_of(size_t worker);

struct Answer {
  std::vector<int32_t> ids;
  Digest steps = 0;  // of all candidates that the steps brought
  bool operator==(const Answer&) const = default;
};

class Coordinator final {
 public:
  Coordinator(Wires& wires, uint64_t incarnation, Party::Tamper tamper);

  void start(uint32_t epoch);
  // Always the same request; it may go on in the session that an earlier one kept.
  void ask(bool keep, bool go_on);
  void cancel_last();
  void shut_down();

  Party& party() { return party_; }
  RingId ring() const { return {incarnation_, epoch_}; }
  bool loaded() const { return loaded_; }
  bool waits() const { return !running_.empty(); }  // for an answer
  const std::vector<Answer>& answers() const { return answers_; }
  const std::string& failure() const { return failure_; }  // the first; empty if there was none

 private:
  PipelineEvents events();
  void end(uint64_t request);

  const uint64_t incarnation_;
  uint32_t epoch_ = 0;
  bool loaded_ = false, failed_ = false;
  struct Running {
    bool keeps;        // its session
    Digest steps = 0;  // so far
  };

  std::map<uint64_t, Running> running_;   // by request
  uint64_t last_ = 0;                     // that may be canceled
  bool keeps_ = false;                    // a request that keeps its session has been made
  std::optional<uint64_t> kept_session_;  // of it
  std::vector<Answer> answers_;
  std::string failure_;
  Pipeline pipeline_;
  Party party_;
};

}  // namespace potluck
