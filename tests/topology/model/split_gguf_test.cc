// A model in one file and the same model in several are one model, whichever part is named.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "tests/topology/model/temp_folder.h"
#include "tests/topology/model/tiny_model.h"
#include "topology/base/fault.h"
#include "topology/model/fingerprint.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

const std::string kWhole = POTLUCK_GOLDEN "/nano/model-bf16.gguf";

std::string part_name(int part, int parts) {
  char name[40];
  std::snprintf(name, sizeof(name), "nano-%05d-of-%05d.gguf", part, parts);
  return name;
}

class SplitGguf : public testing::Test {
 protected:
  SplitGguf() : bytes_(read_bytes(kWhole)) {
    whole_ = read_gguf(reinterpret_cast<const std::byte*>(bytes_.data()), bytes_.size(), kWhole);
  }

  // Part `part` (from 1) of `parts`: the first has the metadata, and the tensors are dealt round.
  std::string part(int part, int parts) const {
    GgufContents contents;
    if (part == 1) contents.metadata = whole_.metadata;
    contents.metadata["split.no"] = double(part - 1);
    contents.metadata["split.count"] = double(parts);
    contents.metadata["split.tensors.count"] = static_cast<double>(whole_.tensors.size());
    std::vector<std::string> data;
    for (size_t i = static_cast<size_t>(part - 1); i < whole_.tensors.size();
         i += static_cast<size_t>(parts)) {
      const TensorInfo& tensor = whole_.tensors[i];
      contents.tensors.push_back(tensor);
      data.push_back(bytes_.substr(tensor.offset, tensor.bytes));
    }
    return gguf_bytes(contents, data);
  }
  void write_parts(int parts) const {
    for (int i = 1; i <= parts; ++i) folder_.write(part_name(i, parts), part(i, parts));
  }
  std::string refusal(const std::string& name) const {
    try {
      open_model(folder_.path(name));
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      std::printf("%s\n", fault.what());
      return fault.what();
    }
    return "opened";
  }
  static void expect(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
  }

  TempFolder folder_;
  std::string bytes_;
  GgufContents whole_;
};

TEST_F(SplitGguf, AnyPartOpensTheWholeModel) {
  const auto whole = open_model(kWhole);
  for (int parts : {1, 2, 3, 7}) {
    write_parts(parts);
    for (int i : {1, (parts + 1) / 2, parts}) {
      const auto split = open_model(folder_.path(part_name(i, parts)));
      EXPECT_EQ(spec_digest(*split), spec_digest(*whole));
      EXPECT_EQ(split->description(), "GGUF v3, 120 tensors, " + std::to_string(parts) +
                                          (parts == 1 ? " file" : " files"));
      ASSERT_EQ(split->tensors().size(), whole->tensors().size());
      for (const TensorInfo& tensor : whole->tensors()) {
        const TensorInfo* other = find_tensor(*split, tensor.name);
        ASSERT_TRUE(other && other->bytes == tensor.bytes) << tensor.name;
        EXPECT_EQ(std::memcmp(split->map(*other).get(), whole->map(tensor).get(), tensor.bytes), 0)
            << tensor.name;
      }
      EXPECT_EQ(split->vocabulary().tokens, whole->vocabulary().tokens);
      EXPECT_EQ(split->vocabulary().merges, whole->vocabulary().merges);
    }
  }
}

TEST_F(SplitGguf, AMissingPartIsNamed) {
  write_parts(3);
  std::filesystem::remove(folder_.path(part_name(2, 3)));
  for (int named : {1, 3})
    expect(refusal(part_name(named, 3)),
           "part 2 of 3 is missing: there is no " + folder_.path(part_name(2, 3)));
}

TEST_F(SplitGguf, MixedUpPartsAreRefused) {
  write_parts(3);
  std::filesystem::copy_file(folder_.path(part_name(2, 3)), folder_.path(part_name(3, 3)),
                             std::filesystem::copy_options::overwrite_existing);
  expect(refusal(part_name(1, 3)), "is part 2 of 3 by its metadata, part 3 of 3 by its name");
  expect(refusal(part_name(3, 3)), part_name(3, 3));  // names the file
  folder_.write("renamed.gguf", part(1, 3));
  expect(refusal("renamed.gguf"), "is part 1 of 3 by its metadata, part 1 of 1 by its name");
  folder_.write("nano-00004-of-00003.gguf", part(1, 3));
  expect(refusal("nano-00004-of-00003.gguf"), "names itself part 4 of 3");
  folder_.write("nano-00000-of-00000.gguf", part(1, 3));
  expect(refusal("nano-00000-of-00000.gguf"), "names itself part 0 of 0");
}

TEST_F(SplitGguf, PartsOfTwoDownloadsAreRefused) {
  write_parts(2);
  whole_.tensors.pop_back();
  folder_.write(part_name(2, 2), part(2, 2));
  expect(refusal(part_name(1, 2)),
         "its 2 parts have 119 tensors together, split.tensors.count says 120");
}

}  // namespace
}  // namespace potluck
