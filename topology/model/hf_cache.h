// The local Hugging Face cache: hub/models--OWNER--REPO/{refs/main, snapshots/REVISION/…}, and
// potluck's partial copies beside the snapshots. Nothing is fetched.
#pragma once

#include <string>

namespace potluck {

// Beside `snapshots`; other programs that use the cache pass over it.
inline constexpr char kPartialFolder[] = "potluck-partial";

struct CachedModel {
  std::string path;  // a .gguf file (the first part of a split one), or a safetensors folder
  std::string note;  // which file it is, and why not another
};

// text: OWNER/REPO[:QUANT]. With QUANT (any case) it is the GGUF file whose name has that word.
// Without: Q4_K_M, else Q8_0, else any GGUF, else the checkpoint's safetensors. Files beside the
// model are left out by their names (a drafter, a projector, measurements for quantizing), and by
// what they hold: empty and partial ones, and those of another architecture. refs/main's snapshot
// goes before older ones, and a whole copy before a partial one. Throws Fault{input} with the
// command that fetches what is not there, or with what is there instead.
CachedModel find_cached(const std::string& text, const std::string& hub);

}  // namespace potluck
