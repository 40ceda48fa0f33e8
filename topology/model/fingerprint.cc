// Digests a model's numbers, its tensor directory, and sampled pages of its tensors.
#include "topology/model/fingerprint.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

#include "topology/model/joined_tensors.h"
#include "topology/model/model_source.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kDigestPages = 16;  // of one tensor at most; smaller tensors are read whole

// Where the pages begin that stand for a tensor larger than all of them.
std::array<uint64_t, kDigestPages + 1> pages_of(const TensorInfo& tensor) {
  const uint64_t last = tensor.bytes - kPageBytes;
  std::array<uint64_t, kDigestPages + 1> pages;
  for (uint64_t page = 0; page < kDigestPages; ++page)
    pages[page] = std::min(last / (kDigestPages - 1) * page, last);
  pages.back() = last;
  return pages;
}

// A tensor in stretches has the digest of the same tensor in one place; of one that is mapped whole
// only the pages that are looked at are read.
Digest tensor_digest(const ModelSource& source, const TensorInfo& tensor, Digest seed) {
  if (tensor.recipe) return digest_bytes(&tensor.recipe, sizeof(tensor.recipe), seed);
  seed = digest_bytes(tensor.name.data(), tensor.name.size(), seed);
  const bool whole = tensor.bytes <= kPageBytes * kDigestPages;
  if (whole || tensor.stretches.empty()) {
    const TensorBytes bytes = source.map(tensor);
    if (whole) return digest_bytes(bytes.get(), tensor.bytes, seed);
    for (uint64_t at : pages_of(tensor)) seed = digest_bytes(bytes.get() + at, kPageBytes, seed);
    return seed;
  }
  for (uint64_t at : pages_of(tensor))
    seed = digest_bytes(source.map(section(tensor, at, kPageBytes)).get(), kPageBytes, seed);
  return seed;
}

Digest contents_digest(const ModelSource& source, const std::vector<TensorNeed>& needs) {
  Digest digest = 0;
  for (const TensorNeed& need : needs)
    if (const TensorInfo* tensor = find_tensor(source, need.name))
      digest = tensor_digest(source, *tensor, digest);
  return digest;
}

}  // namespace

Digest digest_bytes(const void* data, size_t bytes, Digest seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

std::string digest_text(Digest digest) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(digest));
  return text;
}

Digest spec_digest(const ModelSource& source) {
  const ModelSpec& s = source.spec();
  std::ostringstream text;
  text << std::hexfloat << s.hidden << ' ' << s.intermediate << ' ' << s.expert_intermediate << ' '
       << s.experts << ' ' << s.experts_used << ' ' << s.heads << ' ' << s.vocab << ' ' << s.canvas
       << ' ' << s.window << ' ' << s.rms_eps << ' ' << s.softcap << ' ' << s.embed_scale << ' '
       << s.rope_theta_sliding << ' ' << s.rope_theta_full << ' ' << s.rope_pairs_full;
  for (const LayerSpec& l : s.layers)
    text << '|' << l.full << ' ' << l.kv_heads << ' ' << l.head_dim << ' ' << l.has_v;
  for (const TensorInfo& t : source.tensors())
    text << '\n' << t.name << ' ' << dtype_name(t.type) << ' ' << t.shape_text();
  const std::string all = text.str();
  return digest_bytes(all.data(), all.size());
}

Digest head_digest(const ModelSource& source) {
  return contents_digest(source, head_tensors(source.spec()));
}

Digest layer_digest(const ModelSource& source, int layer) {
  return contents_digest(source, layer_tensors(source.spec(), layer));
}

}  // namespace potluck
