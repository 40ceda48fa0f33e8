// Machines name a model by what it is, never by its path: by a digest of the spec, and one of the
// stored bytes of the head and of each layer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace potluck {

class ModelSource;

using Digest = uint64_t;  // XXH64 or FNV-1a style content digest; not cryptographic

struct Fingerprint {
  Digest spec = 0;  // shapes, types, and the numbers that a stage or the head computes by
  Digest head = 0;  // contents of what the head owns
  std::vector<Digest> layers;  // contents of each layer
  bool operator==(const Fingerprint&) const = default;
};

// Digests the numbers (bit for bit) and the tensor directory (names, types, shapes), without
// reading any data. GenerationSpec stays out, for it is the coordinator's alone: canvases,
// temperatures and noise keys reach the workers in messages, end and pad tokens never do. So copies
// of a model that differ in those numbers only may share a ring. context_max stays out too: each
// machine checks the plan's context against its own copy's.
Digest spec_digest(const ModelSource& source);
// Digest contents by sampled pages of each tensor (first, last and evenly spaced 4 KiB pages, at
// most kDigestPages of each), so that a 26 GB file costs milliseconds; small tensors count whole.
// Made-up tensors count by their recipe, without making them.
Digest head_digest(const ModelSource& source);
Digest layer_digest(const ModelSource& source, int layer);

std::string digest_text(Digest digest);  // 16 hex digits

// 64-bit digest of bytes; the same on every machine.
Digest digest_bytes(const void* data, size_t bytes, Digest seed = 0);

}  // namespace potluck
