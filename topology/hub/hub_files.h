// A repository of the Hugging Face hub, or of a server that speaks as it does: which files it has,
// and their bytes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "topology/hub/fetch.h"
#include "topology/hub/http.h"
#include "topology/model/hf_choice.h"

namespace potluck {

struct HubPlace {
  std::string endpoint;  // "https://huggingface.co"
  std::string token;     // empty: none
};

// Throws Fault{input} for what is no address and for what is no token.
HubPlace hub_place(const std::string& endpoint, const std::string& token);

struct HubListing {
  std::string commit;  // 40 hex digits: what the branch `main` is now
  std::vector<ModelFile> files;
};

// Throws Fault{input} for a repository that is not there or not for us, and for an answer that is
// no listing.
HubListing list_hub(Http& http, const HubPlace& place, const HfName& name, const FetchWatch& watch);

struct HubChoice {
  std::vector<ModelFile> files;
  std::string note;  // "took m-Q4_K_M.gguf"
};
// Throws Fault{input} with what is there instead.
HubChoice choose_files(const HubListing& listing, const HfName& name);

class HubFiles final : public ModelFiles {
 public:
  HubFiles(Http& http, const HubPlace& place, const HfName& name, const std::string& commit,
           std::vector<ModelFile> files);
  const std::vector<ModelFile>& files() const override { return files_; }
  std::string name() const override { return "hf:" + name_.repository; }
  ReadEnd read(size_t file, ByteRange range, const ByteSink& sink) override;

 private:
  std::string url_of(size_t file) const;

  Http& http_;
  HubPlace place_;
  HfName name_;
  std::string commit_;
  std::vector<ModelFile> files_;
  std::map<size_t, std::string> found_at_;  // by file: where the hub last sent us
};

}  // namespace potluck
