// Digests a model's numbers, its tensor directory, and sampled pages of its tensors.
#include "topology/model/fingerprint.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "topology/model/model_source.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kDigestPages = 16;  // of one tensor at most; smaller tensors are read whole

Digest tensor_digest(const ModelSource& source, const TensorInfo& tensor, Digest seed) {
  if (tensor.recipe) return digest_bytes(&tensor.recipe, sizeof(tensor.recipe), seed);
  const TensorBytes bytes = source.map(tensor);
  seed = digest_bytes(tensor.name.data(), tensor.name.size(), seed);
  if (tensor.bytes <= kPageBytes * kDigestPages)
    return digest_bytes(bytes.get(), tensor.bytes, seed);
  const uint64_t last = tensor.bytes - kPageBytes;
  for (uint64_t page = 0; page < kDigestPages; ++page) {
    const uint64_t at = last / (kDigestPages - 1) * page;
    seed = digest_bytes(bytes.get() + std::min(at, last), kPageBytes, seed);
  }
  return digest_bytes(bytes.get() + last, kPageBytes, seed);
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
