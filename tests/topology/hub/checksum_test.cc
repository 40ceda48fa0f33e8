// Checksums are those that hubs name files by.
#include "topology/hub/checksum.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

std::string checksum(ChecksumKind kind, const std::string& text) {
  Checksum sum(kind, text.size());
  for (const char& c : text) sum.add(std::as_bytes(std::span(&c, 1)));
  return sum.text();
}

TEST(Checksum, LargeFilesHaveTheirSha256) {
  EXPECT_EQ(checksum(ChecksumKind::sha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Checksum, SmallFilesHaveTheNameThatGitGivesThem) {
  EXPECT_EQ(checksum(ChecksumKind::git_sha1, ""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  EXPECT_EQ(checksum(ChecksumKind::git_sha1, "hello\n"),
            "ce013625030ba8dba906f756967f9e9ca394464a");
}

}  // namespace
}  // namespace potluck
