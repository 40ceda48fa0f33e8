// A file that shrinks while it is read ends the program by name.
#include "cluster/cli/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include "topology/base/fault.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

class MachineTest : public testing::Test {
 protected:
  MachineTest() : path_(testing::TempDir() + "potluck-" + std::to_string(getpid()) + ".bin") {
    std::ofstream(path_) << std::string(1 << 16, 'x');
  }
  ~MachineTest() override { unlink(path_.c_str()); }

  const std::string path_;
};

int read_last_byte(const std::string& path) {
  catch_cut_files();
  const MappedFile file(path);
  const TensorBytes bytes = file.map(0, file.size());
  if (truncate(path.c_str(), 10) != 0) return 1;
  return static_cast<int>(bytes.get()[file.size() - 1]);
}

TEST_F(MachineTest, AFileThatIsCutOffWhileItIsReadIsNamed) {
  EXPECT_EXIT(std::exit(read_last_byte(path_)), testing::ExitedWithCode(3),
              "potluck: " + path_ + " changed while it was in use");
}

TEST_F(MachineTest, AnyOtherBusErrorIsWhatItWas) {
  const auto fail = [] {
    catch_cut_files();
    std::raise(SIGBUS);
    std::raise(SIGBUS);
  };
  EXPECT_EXIT(fail(), testing::KilledBySignal(SIGBUS), "");
}

TEST_F(MachineTest, AFileThatWasWrittenToIsNotMapped) {
  const MappedFile file(path_);
  EXPECT_NE(file.map(0, 10), nullptr);
  const auto refused = [&] {
    try {
      file.map(0, 10);
    } catch (const Fault& fault) {
      return fault.text() == path_ + " changed while it was in use";
    }
    return false;
  };
  std::fstream(path_) << 'y';  // of the same size
  EXPECT_TRUE(refused());
}

TEST_F(MachineTest, AMappingIsForgottenWithItsEnd) {
  const void* where = nullptr;
  {
    const MappedFile file(path_);
    const TensorBytes bytes = file.map(5000, 100);
    where = bytes.get();
    EXPECT_EQ(std::string(mapped_path_at(where)), path_);
  }
  EXPECT_EQ(mapped_path_at(where), nullptr);
}

TEST_F(MachineTest, TheProgramIsKnown) {
  EXPECT_EQ(access(own_program().c_str(), X_OK), 0);
}

}  // namespace
}  // namespace potluck
