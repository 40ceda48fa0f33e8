// A partial copy knows what it holds, whatever ended its writer.
#include "topology/hub/partial_writer.h"

#include <gtest/gtest.h>

#include "tests/topology/model/temp_folder.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

class PartialWriting : public testing::Test {
 protected:
  PartialWriter writer(const std::string& origin = "a file") const {
    return PartialWriter(path_, {"m.gguf", 1000, ""}, origin);
  }
  static std::vector<std::byte> bytes(size_t count, int value = 1) {
    return std::vector<std::byte>(count, std::byte(value));
  }

  TempFolder folder_;
  std::string path_ = folder_.path("m.gguf");
};

TEST_F(PartialWriting, RangesAreHeldOnceTheirPiecesAreThere) {
  PartialWriter copy = writer();
  copy.add(100, bytes(50));
  copy.add(150, bytes(50));
  copy.add(300, bytes(10));
  for (const auto& [begin, count, held] : {std::tuple(100, 100, true),
                                           {100, 101, false},
                                           {99, 2, false},
                                           {120, 60, true},
                                           {300, 10, true},
                                           {190, 115, false},
                                           {0, 0, true}})
    EXPECT_EQ(copy.copy().holds(begin, count), held) << begin << " " << count;
  const std::vector<ByteRange> missing = copy.missing({50, 300});
  ASSERT_EQ(missing.size(), 3u);
  EXPECT_EQ(missing[0].begin, 50u);
  EXPECT_EQ(missing[0].bytes, 50u);
  EXPECT_EQ(missing[1].begin, 200u);
  EXPECT_EQ(missing[1].bytes, 100u);
  EXPECT_EQ(missing[2].begin, 310u);
  EXPECT_EQ(missing[2].bytes, 40u);
}

TEST_F(PartialWriting, TheNextWriterFindsWhatTheLastOneLeft) {
  writer().add(100, bytes(50));
  EXPECT_TRUE(writer().copy().holds(100, 50));
  EXPECT_EQ(std::filesystem::file_size(path_), 1000u);
}

TEST_F(PartialWriting, ALineWithoutItsEndIsWrittenAnew) {
  writer().add(100, bytes(50));
  std::ofstream(partial_list(path_), std::ios::app) << "piece 200 5";
  writer().add(500, bytes(10));
  const PartialCopy copy = *read_partial_copy(path_);
  EXPECT_EQ(copy.pieces.size(), 2u);
  EXPECT_TRUE(copy.holds(500, 10));
}

TEST_F(PartialWriting, APieceThatChangedOnTheDiskIsDropped) {
  PartialWriter copy = writer();
  copy.add(100, bytes(50));
  copy.add(200, bytes(50));
  EXPECT_EQ(copy.drop_damaged(), 0);
  FileWriter(path_).write(220, bytes(1, 9));
  EXPECT_EQ(copy.drop_damaged(), 1);
  EXPECT_TRUE(copy.copy().holds(100, 50));
  EXPECT_FALSE(read_partial_copy(path_)->holds(200, 1));
}

// A piece that was read once is not read again, and a range is checked together with the pieces
// around it.
TEST_F(PartialWriting, AReaderFindsPiecesThatChanged) {
  writer().add(100, bytes(50));
  writer().add(200, bytes(50));
  FileWriter(path_).write(220, bytes(1, 9));
  MappedFile file(path_);
  PieceChecks checks;
  checks.add(file);
  checks.check(0, file, 110, 20);
  checks.check(0, file, 150, 50);
  EXPECT_THROW(checks.check(0, file, 249, 1), Fault);
  EXPECT_THROW(checks.check(0, file, 0, 1000), Fault);
  writer().drop_damaged();
  writer().add(200, bytes(50));
  checks.check(0, file, 0, 1000);
}

TEST_F(PartialWriting, TwoWritersAtOnceAreRefusedAndSoIsAnotherFile) {
  {
    const PartialWriter first = writer();
    EXPECT_THROW(writer(), Fault);
  }
  EXPECT_THROW(writer("another file"), Fault);
  EXPECT_NO_THROW(writer());
}

TEST_F(PartialWriting, AWholeFileIsNotWrittenTo) {
  folder_.write("m.gguf", std::string(1000, 'x'));
  EXPECT_THROW(writer(), Fault);
  EXPECT_FALSE(std::filesystem::exists(partial_list(path_)));
}

}  // namespace
}  // namespace potluck
