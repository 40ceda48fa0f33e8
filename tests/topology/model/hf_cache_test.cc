// Models are found in a Hugging Face cache by name and quantisation, or their download is named.
#include "topology/model/hf_cache.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/topology/model/temp_folder.h"
#include "tests/topology/model/tiny_model.h"
#include "topology/base/fault.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

class HfCache : public testing::Test {
 protected:
  // A file of snapshot `revision` of owner/some-GGUF; without bytes a model.
  void add(const std::string& revision, const std::string& name, const std::string& bytes) {
    hub_.write(kRepository + "/snapshots/" + revision + "/" + name, bytes);
  }
  void add(const std::string& revision, const std::string& name) {
    add(revision, name, bytes_of("diffusion-gemma"));
  }
  // A whole file of this architecture.
  static std::string bytes_of(const std::string& architecture) {
    TinyGguf tiny = tiny_gguf();
    tiny.contents.metadata["general.architecture"] = architecture;
    return gguf_bytes(tiny.contents, tiny.data);
  }
  std::string note(const std::string& text) const { return find_cached(text, hub_.path()).note; }
  std::string found(const std::string& text) const {
    const std::string path = find_cached(text, hub_.path()).path;
    const std::string base = hub_.path(kRepository + "/snapshots/");
    return path.rfind(base, 0) == 0 ? path.substr(base.size()) : path;
  }
  std::string refusal(const std::string& text) const {
    try {
      return "found " + find_cached(text, hub_.path()).path;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      std::printf("%s\n", fault.what());
      return fault.what();
    }
  }

  const std::string kRepository = "models--owner--some-GGUF";
  TempFolder hub_;
};

TEST_F(HfCache, FindsTheQuantisationByItsWholeName) {
  for (const char* name : {"m-BF16.gguf", "m-F16.gguf", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf",
                           "Q8_0/m-Q8_0-00001-of-00001.gguf", "mmproj-F32.gguf", "README.md"})
    add("abc", name);
  EXPECT_EQ(found("owner/some-GGUF:Q4_K_S"), "abc/m-Q4_K_S.gguf");
  EXPECT_EQ(found("owner/some-GGUF:f16"), "abc/m-F16.gguf");
  EXPECT_EQ(found("owner/some-GGUF:q8_0"), "abc/Q8_0/m-Q8_0-00001-of-00001.gguf");
  EXPECT_NE(refusal("owner/some-GGUF:Q4_K")
                .find("potluck pull hf:owner/some-GGUF:Q4_K"),
            std::string::npos);
  EXPECT_NE(refusal("owner/some-GGUF:F32").find("not in"), std::string::npos);
}

TEST_F(HfCache, WithoutOneTakesQ4KMThenQ8ThenAnyAndSaysSo) {
  add("abc", "m-BF16.gguf");
  EXPECT_EQ(found("owner/some-GGUF"), "abc/m-BF16.gguf");
  add("abc", "m-Q8_0.gguf");
  EXPECT_EQ(found("owner/some-GGUF"), "abc/m-Q8_0.gguf");
  EXPECT_EQ(note("owner/some-GGUF"),
            "hf:owner/some-GGUF: took m-Q8_0.gguf: no Q4_K_M of this model is in the cache");
  add("abc", "m-Q4_K_M.gguf");
  EXPECT_EQ(found("owner/some-GGUF"), "abc/m-Q4_K_M.gguf");
  EXPECT_EQ(note("owner/some-GGUF"), "hf:owner/some-GGUF: took m-Q4_K_M.gguf");
  EXPECT_EQ(note("owner/some-GGUF:bf16"), "hf:owner/some-GGUF:bf16: took m-BF16.gguf");
}

// A drafter is a whole file of the very architecture that is asked for.
TEST_F(HfCache, FilesBesideTheModelAreNotTheModel) {
  for (const char* name :
       {"mtp-m-Q4_K_M.gguf", "MTP/m-Q4_K_M.gguf", "m-Q4_K_M-mtp.gguf", "m-draft-Q4_K_M.gguf",
        "mmproj-Q4_K_M.gguf", "m-mmproj-Q4_K_M.gguf", "imatrix-Q4_K_M.gguf", "m.imatrix.gguf"})
    add("abc", name);
  const std::string none = refusal("owner/some-GGUF:Q4_K_M");
  EXPECT_NE(none.find("mtp-m-Q4_K_M.gguf is a drafter"), std::string::npos);
  EXPECT_NE(none.find("m-mmproj-Q4_K_M.gguf is a vision projector"), std::string::npos);
  EXPECT_NE(none.find("m.imatrix.gguf is measurements"), std::string::npos);
  add("abc", "z-Q4_K_M.gguf");
  EXPECT_EQ(found("owner/some-GGUF:Q4_K_M"), "abc/z-Q4_K_M.gguf");
  EXPECT_EQ(found("owner/some-GGUF"), "abc/z-Q4_K_M.gguf");
}

TEST_F(HfCache, EmptyAndPartialFilesAndOtherModelsAreLeftOut) {
  const std::string model = bytes_of("diffusion-gemma");
  add("abc", "a-Q4_K_M.gguf", "");
  add("abc", "b-Q4_K_M.gguf", model.substr(0, model.size() - 100));
  add("abc", "c-Q4_K_M.gguf", bytes_of("gemma4"));
  add("abc", "d-Q4_K_M-00001-of-00002.gguf", model);
  const std::string none = refusal("owner/some-GGUF");
  for (const char* part :
       {"a-Q4_K_M.gguf is empty", "b-Q4_K_M.gguf: tensor ",
        "c-Q4_K_M.gguf: general.architecture is \"gemma4\"", "part 2 of 2 is missing"})
    EXPECT_NE(none.find(part), std::string::npos) << part;
  add("abc", "e-Q8_0.gguf");
  EXPECT_EQ(found("owner/some-GGUF"), "abc/e-Q8_0.gguf");
  EXPECT_NE(note("owner/some-GGUF").find("took e-Q8_0.gguf"), std::string::npos);
  EXPECT_NE(note("owner/some-GGUF").find("left out a-Q4_K_M.gguf is empty"), std::string::npos);
}

TEST_F(HfCache, AnEmptyCheckpointIsNone) {
  hub_.write("models--google--tiny/snapshots/abc/config.json", "{}");
  hub_.write("models--google--tiny/snapshots/abc/model.safetensors", "");
  EXPECT_NE(refusal("google/tiny").find("not in"), std::string::npos);
}

TEST_F(HfCache, TheRevisionOfMainGoesFirst) {
  add("111", "m-Q8_0.gguf");
  add("222", "m-Q8_0.gguf");
  EXPECT_EQ(found("owner/some-GGUF:Q8_0"), "111/m-Q8_0.gguf");
  hub_.write(kRepository + "/refs/main", "222");
  EXPECT_EQ(found("owner/some-GGUF:Q8_0"), "222/m-Q8_0.gguf");
  add("111", "m-Q5_K_M.gguf");
  EXPECT_EQ(found("owner/some-GGUF:Q5_K_M"), "111/m-Q5_K_M.gguf");
}

TEST_F(HfCache, UnfinishedDownloadsDoNotCount) {
  add("abc", "README.md");
  std::filesystem::create_symlink(hub_.path("blobs/none"),
                                  hub_.path(kRepository + "/snapshots/abc/m-Q8_0.gguf"));
  EXPECT_NE(refusal("owner/some-GGUF:Q8_0").find("not in"), std::string::npos);
}

TEST_F(HfCache, ModelsOpenByTheirName) {
  const TinyGguf tiny = tiny_gguf();
  add("abc", "m-Q8_0.gguf", gguf_bytes(tiny.contents, tiny.data));
  const auto gguf = open_model("hf:owner/some-GGUF", {hub_.path(), ""});
  EXPECT_EQ(gguf->spec().hidden, 8);
  ASSERT_EQ(gguf->notes().size(), 1u);
  const TinyCheckpoint checkpoint = tiny_checkpoint();
  const std::string folder = "models--google--tiny/snapshots/abc/";
  hub_.write(folder + "config.json", checkpoint.config);
  hub_.write(folder + "model.safetensors", checkpoint.tensors);
  const auto opened = open_model("hf:google/tiny", {hub_.path(), ""});
  EXPECT_EQ(opened->spec().hidden, 8);
  EXPECT_EQ(opened->notes().at(0), "hf:google/tiny: took the safetensors of abc");
}

TEST_F(HfCache, WhatIsAbsentComesWithItsDownloadCommand) {
  EXPECT_EQ(refusal("owner/some-GGUF"), "hf:owner/some-GGUF is not in " + hub_.path() +
                                            "; fetch it with: potluck pull hf:owner/some-GGUF");
  EXPECT_EQ(refusal("google/checkpoint"), "hf:google/checkpoint is not in " + hub_.path() +
                                              "; fetch it with: potluck pull hf:google/checkpoint");
  for (const char* text : {"", "owner", "owner/", "/repo", "a/b/c", "../x", "a/..",
                           "a/b:", "a/b:c/d", "a b/c", "a/b\n"})
    EXPECT_NE(refusal(text).find("give hf:OWNER/REPO"), std::string::npos) << text;
}

}  // namespace
}  // namespace potluck
