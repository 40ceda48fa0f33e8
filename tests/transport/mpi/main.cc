// Rank 0 runs the tests; the other ranks are its parties.
#include <gtest/gtest.h>

#include "tests/transport/mpi/ranks.h"

int main(int argc, char** argv) {
  const std::shared_ptr<potluck::MpiJob> job = potluck::join_mpi_job();
  if (job->rank() > 0) {
    potluck::serve_rank(job);
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  potluck::Ranks ranks(job);
  return RUN_ALL_TESTS();
}
