// Sizes a ring to an MPI job, runs a rank's worker, and says which ranks have died.
#include "cluster/ring/mpi_ranks.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <utility>
#include <vector>

#include "cluster/cli/interrupt.h"

namespace potluck {
namespace {

constexpr int kOtherRanks = 2;  // ranks that are no stage: the coordinator and the head
constexpr char kStatic[] = "ranks of MPI cannot come back; start the job again";

}  // namespace

int stages_on_ranks(int ranks, int wanted) {
  const int least = wanted ? wanted + kOtherRanks : kOtherRanks + 1;
  if (ranks == least || (!wanted && ranks > least)) return ranks - kOtherRanks;
  throw Fault(FaultKind::input,
              fmt::format("a coordinator, a head and {} need {} ranks, and this MPI job has {}",
                          wanted > 1 ? fmt::format("{} stages", wanted) : "a stage", least, ranks),
              Fix{fmt::format("start it as: mpirun -np {} potluck run … --transport mpi", least)});
}

void place_on_ranks(Plan& plan) {
  const auto place = [](WorkerPlan& worker, PeerId rank) {
    worker.local = false;
    worker.endpoint = "mpi://" + std::to_string(rank);
  };
  place(plan.head, kHeadPeer);
  for (int i = 0; i < plan.stage_count(); ++i) place(plan.stages[i], stage_peer(i));
}

int work_on_rank(const std::shared_ptr<MpiJob>& job, std::shared_ptr<const ModelSource> source,
                 WorkerOptions options) {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  options.exit_on_shutdown = true;
  options.log = [rank = job->rank()](const std::string& line) {
    spdlog::info("rank {}: {}", rank, line);
  };
  if (options.name.empty()) options.name = fmt::format("rank {}", job->rank());
  Worker worker(std::move(source), options);
  const std::unique_ptr<Transport> transport = make_mpi_transport(job, options.log);
  transport->set_identity(worker.identity());
  transport->listen("mpi://*");
  run_loop(worker, *transport);
  return 0;
}

Fault with_missing_ranks(const Fault& fault, MpiJob& job, const Plan& plan) {
  const bool lost = fault.kind() == FaultKind::lost;
  if (!lost && interrupt_signal() != SIGTERM) return fault;
  std::string names;
  for (const int rank : job.missing())
    names += fmt::format("{}{} (rank {})", names.empty() ? "" : ", ", plan.name_of(rank), rank);
  if (!names.empty()) return Fault(FaultKind::lost, "lost " + names, Fix{kStatic});
  return lost ? Fault(fault.kind(), fault.text(), Fix{kStatic}, fault.where()) : fault;
}

}  // namespace potluck
