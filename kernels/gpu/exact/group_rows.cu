// Sorts by counting. Each warp has a run of slots and its own counts, so that places follow from
// the order of slots alone; a thread has an expert while counts become places.
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/exact/group_rows.h"

namespace potluck::gpu {

constexpr int kGroupThreads = 256;
constexpr int kGroupWarps = kGroupThreads / 32;
static_assert(kGroupThreads >= kGroupExpertsMost);

struct GroupState {
  int32_t at[kGroupWarps][kGroupExpertsMost];  // a warp's counts, then its next places
  int32_t sums[kGroupWarps];
};

// How many lanes of the warp have a slot that chose the same expert, and how many of them come
// before this lane.
struct Peers {
  int count, before;
};
GPU_DEVICE Peers find_peers(int expert, bool has_slot) {
  uint32_t same = ballot(has_slot);
  GPU_UNROLL
  for (int bit = 1; bit < kGroupExpertsMost; bit *= 2) {
    const uint32_t set = ballot(expert & bit);
    same &= expert & bit ? set : ~set;
  }
  return {count_bits(same), count_bits(same & ((1u << lane()) - 1))};
}

// Calls for a warp's slots, 32 at a time: counts them, or gives them their places.
template <bool kPlaces>
GPU_DEVICE void each_slot(const GroupRows& a, int32_t* at) {
  const int run = (a.slots + kGroupThreads - 1) / kGroupThreads * 32;
  const int begin = warp() * run, end = begin + run < a.slots ? begin + run : a.slots;
  for (int first = begin; first < end; first += 32) {
    const int slot = first + lane();
    const bool has_slot = slot < end;
    const int expert = has_slot ? a.expert[slot] : 0;
    const Peers peers = find_peers(expert, has_slot);
    const int next = at[expert];
    warp_sync();
    if (has_slot && peers.before == 0) at[expert] = next + peers.count;
    if (kPlaces && has_slot) {
      a.place[slot] = next + peers.before;
      a.order[next + peers.before] = slot;
    }
    warp_sync();
  }
}

// The sum of `value` over the threads before this one.
GPU_DEVICE int sum_before(int value, int32_t (&sums)[kGroupWarps]) {
  int sum = value;
  GPU_UNROLL
  for (int step = 1; step < 32; step *= 2) {
    const int before = shuffle(sum, (lane() - step) & 31);
    if (lane() >= step) sum += before;
  }
  barrier();
  if (lane() == 31) sums[warp()] = sum;
  barrier();
  for (int w = 0; w < warp(); ++w) sum += sums[w];
  return sum - value;
}

GPU_KERNEL(group_rows, GroupRows, kGroupThreads) {
  GPU_SHARED(GroupState, state, );
  const int e = thread();
  for (int w = 0; w < kGroupWarps; ++w) state.at[w][e] = 0;
  barrier();
  each_slot<false>(a, state.at[warp()]);
  barrier();
  int count = 0;
  for (int w = 0; w < kGroupWarps; ++w) count += state.at[w][e];
  const int begin = sum_before(count, state.sums);
  int next = begin;
  for (int w = 0; w < kGroupWarps; ++w) {
    const int of_warp = state.at[w][e];
    state.at[w][e] = next;
    next += of_warp;
  }
  const int tiles = (count + a.tile_rows - 1) / a.tile_rows;
  const int first_tile = sum_before(tiles, state.sums);
  if (e < a.experts) a.begin[e] = begin;
  if (e == a.experts - 1) {
    a.begin[a.experts] = a.slots;
    *a.tile_count = first_tile + tiles;
  }
  for (int i = 0; i < tiles; ++i) {
    const int done = i * a.tile_rows, left = count - done;
    a.tiles[first_tile + i] = {e, begin + done, left < a.tile_rows ? left : a.tile_rows};
  }
  // sum_before() has barriers behind which all places are written.
  each_slot<true>(a, state.at[warp()]);
}

}  // namespace potluck::gpu
