// A model's name at a hub, and which of a repository's files it means: the same rules for what is
// in the cache and for what is fetched.
#pragma once

#include <string>
#include <vector>

namespace potluck {

struct HfName {
  std::string repository;  // OWNER/REPO
  std::string quant;       // empty: none asked for
  std::string text() const;
};

// text: OWNER/REPO[:QUANT], without "hf:". Throws Fault{input} if it names nothing.
HfName parse_hf_name(const std::string& text);
std::string hf_folder(const HfName& name);     // "models--OWNER--REPO", in the cache
std::string pull_command(const HfName& name);  // "potluck pull hf:OWNER/REPO:QUANT"

struct GgufNames {
  std::vector<std::string> fit;     // files that may be the model; of split ones the first parts
  std::vector<std::string> beside;  // "mmproj-F16.gguf is a vision projector"
};
// names: paths in the repository. Files beside a model are known by the words of their names.
GgufNames sort_gguf_names(std::vector<std::string> names);

// The files to try in turn: those with the word that was asked for, or all, Q4_K_M and Q8_0 first.
std::vector<std::string> in_order(const std::vector<std::string>& files, const HfName& wanted);
// "took m-Q8_0.gguf: no Q4_K_M of this model is in the cache"; place: "in the cache".
std::string took(const std::string& path, const HfName& wanted, const std::string& place);

}  // namespace potluck
