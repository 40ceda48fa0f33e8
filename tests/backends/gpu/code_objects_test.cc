// The file of code objects: written and read again, damaged in every byte, and the choice for each
// card.
#include "backends/gpu/code_objects.h"

#include <gtest/gtest.h>

#include "tests/topology/model/temp_folder.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

const std::vector<CodeObject> kObjects = {{"sm_61", "six one"},
                                          {"sm_80", std::string(700, 'e')},
                                          {"sm_86", "eight six"},
                                          {"sm_90a", "nine a"},
                                          {"sm_100a", "ten a"},
                                          {"sm_87", "a Jetson's"},
                                          {"sm_120", "twelve"},
                                          {"gfx906", "nine"},
                                          {"gfx1030", std::string(256, 0)},
                                          {"gfx1100", ""}};

class CodeObjects : public testing::Test {
 protected:
  // The line that refuses a file of these bytes; "" if it was read.
  std::string refusal(const std::string& bytes) const {
    const std::string path = folder_.write("kernels.bin", bytes);
    try {
      read_code_objects(path);
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input) << fault.what();
      EXPECT_NE(std::string(fault.what()).find(path), std::string::npos) << fault.what();
      return fault.what();
    }
    return "";
  }

  std::string with_byte(size_t at, char byte) const {
    std::string bytes = file_;
    bytes[at] = byte;
    return bytes;
  }

  TempFolder folder_;
  const std::string file_ = code_objects_file(kObjects);
};

void expect(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
}

TEST_F(CodeObjects, AreReadAsWritten) {
  const auto objects = read_code_objects(folder_.write("kernels.bin", file_));
  ASSERT_EQ(objects.size(), kObjects.size());
  for (size_t i = 0; i < objects.size(); ++i) {
    EXPECT_EQ(objects[i].architecture, kObjects[i].architecture);
    EXPECT_EQ(objects[i].code, kObjects[i].code);
  }
}

// All bytes but the padding between code objects count.
TEST_F(CodeObjects, AreRefusedWithAnyByteChanged) {
  size_t table_bytes = 32 + kObjects.size() * 40;
  for (size_t at = 0; at < table_bytes; ++at)
    EXPECT_NE(refusal(with_byte(at, static_cast<char>(file_[at] ^ 1))), "") << "byte " << at;
  expect(refusal(with_byte(file_.find("nine a"), 'N')), "has damaged code for sm_90a");
}

TEST_F(CodeObjects, AreRefusedWhenCutShort) {
  for (size_t bytes = 0; bytes < file_.size() - 256; bytes += 7)
    EXPECT_NE(refusal(file_.substr(0, bytes)), "") << bytes << " bytes";
  expect(refusal(""), "is no file of GPU code objects");
  expect(refusal(file_.substr(0, 200)), "claims 10 code objects in 200 bytes");
  for (const size_t bytes : {600, 900})
    expect(refusal(file_.substr(0, bytes)), "ends within the code for sm_80");
}

TEST_F(CodeObjects, AreRefusedByNameOfWhatIsWrong) {
  expect(refusal(with_byte(0, 'P')), "is no file of GPU code objects");
  expect(refusal(with_byte(8, 7)), "has version 7, and this potluck reads 1");
  expect(refusal(with_byte(12, 65)), "claims 65 code objects");
  expect(refusal(with_byte(16, static_cast<char>(file_[16] ^ 1))), "holds other kernels");
  expect(refusal(with_byte(32, 'S')), "damaged table of architectures");
}

TEST_F(CodeObjects, AreChosenByTheCardsArchitecture) {
  const char* expected[][2] = {{"sm_61", "sm_61"},    {"sm_80", "sm_80"},
                               {"sm_86", "sm_86"},    {"sm_87", "sm_87"},
                               {"sm_89", "sm_86"},    {"sm_90", "sm_90a"},
                               {"sm_100", "sm_100a"}, {"sm_121", "sm_120"},
                               {"gfx906", "gfx906"},  {"gfx906:sramecc+:xnack-", "gfx906"},
                               {"gfx1030", "gfx1030"}};
  for (const auto& [card, code] : expected)
    EXPECT_EQ(code_object_for(kObjects, card).architecture, code) << card;
}

TEST_F(CodeObjects, AreNotMadeUpForOtherCards) {
  for (const char* card :
       {"sm_52", "sm_60", "sm_62", "sm_70", "sm_75", "sm_103", "sm_110", "gfx1031", "gfx90",
        "gfx90a:xnack-", "gfx103", "sm_", "sm_8", "sm_86x", ""})
    EXPECT_THROW(code_object_for(kObjects, card), Fault) << card;
  try {
    code_object_for(kObjects, "gfx90a:sramecc+:xnack-");
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::world);
    expect(fault.what(),
           "no code for gfx90a:sramecc+:xnack-, only for sm_61, sm_80, sm_86, sm_90a, sm_100a, "
           "sm_87, sm_120, gfx906, gfx1030, gfx1100");
  }
}

TEST_F(CodeObjects, LieBesideTheProgramOrWithTheDemoModels) {
  const std::filesystem::path program = folder_.path("bin/potluck");
  EXPECT_EQ(code_objects_path(program), folder_.path("share/potluck/potluck-kernels.bin"));
  const std::string beside = folder_.write("bin/potluck-kernels.bin", file_);
  EXPECT_EQ(code_objects_path(program), beside);
}

}  // namespace
}  // namespace potluck
