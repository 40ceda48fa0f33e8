// A ring on the ranks of an MPI job, which mpirun starts: rank 0 coordinates, rank 1 is the head,
// and each of the others is a stage. No rank can join later.
#pragma once

#include <memory>

#include "shard/worker.h"
#include "topology/base/fault.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"
#include "transport/mpi/mpi.h"

namespace potluck {

// How many stages a job of so many ranks has. wanted: 0 leaves it to the job. Throws Fault{input}
// if the job is too small or does not match, and says how to start it.
int stages_on_ranks(int ranks, int wanted);

// Puts each worker of the plan on its rank.
void place_on_ranks(Plan& plan);

// A rank that is not 0 runs this until the coordinator is done with it; returns the exit code.
// Signals that ask to end are left to rank 0, which finds out why they came.
int work_on_rank(const std::shared_ptr<MpiJob>& job, std::shared_ptr<const ModelSource> source,
                 WorkerOptions options);

// Names the ranks that are gone, if the fault is of a lost worker or of a signal: mpirun asks all
// ranks to end when one has died.
Fault with_missing_ranks(const Fault& fault, MpiJob& job, const Plan& plan);

}  // namespace potluck
