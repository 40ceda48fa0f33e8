// The functions that the compiler calls for TSan, and what they are told.
#include "tests/emulator/accesses.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#include <utility>

#include "tests/emulator/machine.h"

namespace potluck::emulator {
namespace {

constexpr uint64_t kSector = 32, kBanks = 32, kWord = 4;
// A wave of shared memory serves as many bytes, of lanes that follow one another.
constexpr uint64_t kWaveBytes = kBanks * kWord;
constexpr size_t kStackBytes = 256 << 10;

int64_t up(int64_t bytes, int64_t unit) {
  return (bytes + unit - 1) / unit;
}

// Distinct words that the lanes touch in each bank; the fullest bank needs as many waves.
int64_t waves_of(const Touch* begin, const Touch* end) {
  std::array<std::set<uint64_t>, kBanks> words;
  for (const Touch* touch = begin; touch != end; ++touch)
    for (uint64_t word = touch->address / kWord; word * kWord < touch->address + touch->bytes;
         ++word)
      words[word % kBanks].insert(word);
  size_t most = 0;
  for (const auto& bank : words) most = std::max(most, bank.size());
  return static_cast<int64_t>(most);
}

void count_shared(const std::vector<Touch>& touches, AccessCounts& counts) {
  const size_t lanes = std::max<size_t>(kWaveBytes / std::max(touches[0].bytes, 4u), 1);
  ++counts.shared;
  for (size_t first = 0; first < touches.size(); first += lanes) {
    counts.waves += waves_of(&touches[first], &touches[std::min(first + lanes, touches.size())]);
    ++counts.waves_least;
  }
}

void count_global(const std::vector<Touch>& touches, AccessCounts& counts) {
  std::set<uint64_t> sectors, bytes;
  for (const Touch& touch : touches)
    for (uint64_t i = 0; i < touch.bytes; ++i) {
      bytes.insert(touch.address + i);
      sectors.insert((touch.address + i) / kSector);
    }
  ++counts.global;
  counts.sectors += static_cast<int64_t>(sectors.size());
  counts.sectors_least += up(static_cast<int64_t>(bytes.size()), kSector);
}

AccessCounts& operator+=(AccessCounts& to, const AccessCounts& from) {
  to.global += from.global;
  to.sectors += from.sectors;
  to.sectors_least += from.sectors_least;
  to.shared += from.shared;
  to.waves += from.waves;
  to.waves_least += from.waves_least;
  return to;
}

// All host threads come to this; it is written when the program ends.
class Totals final {
 public:
  ~Totals() {
    const char* file = std::getenv("POTLUCK_ACCESSES");
    if (!file) return;
    std::ofstream out(file);
    for (const auto& [kernel, c] : kernels_)
      out << kernel << ' ' << c.global << ' ' << c.sectors << ' ' << c.sectors_least << ' '
          << c.shared << ' ' << c.waves << ' ' << c.waves_least << '\n';
  }
  void add(const std::map<std::string, AccessCounts>& kernels) {
    const std::lock_guard lock(mutex_);
    for (const auto& [kernel, counts] : kernels) kernels_[kernel] += counts;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, AccessCounts> kernels_;
};

Totals& totals() {
  static Totals totals;
  return totals;
}

bool lies_in(const void* at, const void* from, size_t bytes) {
  const auto offset = reinterpret_cast<uintptr_t>(at) - reinterpret_cast<uintptr_t>(from);
  return offset < bytes;
}

// Stacks stand for registers; where a thread is in its grid it knows of itself.
bool is_of_no_memory(Machine& all, const void* at) {
  const auto* frame = static_cast<const std::byte*>(__builtin_frame_address(0));
  return lies_in(at, frame - kStackBytes, 2 * kStackBytes) || all.is_operand(at) ||
         lies_in(at, &all.thread(), sizeof(Thread)) ||
         lies_in(at, &running_place, sizeof(running_place));
}

}  // namespace

AccessCounts counts_of(const std::vector<Touch>& touches) {
  AccessCounts counts;
  (touches[0].in_shared ? count_shared : count_global)(touches, counts);
  return counts;
}

void Accesses::touch(const void* site, const void* address, uint32_t bytes) {
  Machine& all = machine();
  if (is_of_no_memory(all, address)) return;
  const Place& place = all.thread().place;
  const bool in_shared = all.block().shared().holds(address, bytes);
  groups_[&all.block().group_of(all.thread())].touches[place.thread % kLanes].push_back(
      {site, reinterpret_cast<uintptr_t>(address), bytes, in_shared});
}

void Accesses::arrive(const char* kernel, const void* group, int lanes) {
  Group& here = groups_[group];
  if (++here.arrived == lanes) add(kernel, here);
}

void Accesses::add(const char* kernel, Group& group) {
  std::map<std::pair<const void*, int>, std::vector<Touch>> together;
  for (std::vector<Touch>& lane : group.touches) {
    std::unordered_map<const void*, int> before;
    for (const Touch& touch : lane) together[{touch.site, before[touch.site]++}].push_back(touch);
    lane.clear();
  }
  group.arrived = 0;
  for (const auto& [place, touches] : together) kernels_[kernel] += counts_of(touches);
}

Accesses::~Accesses() {
  totals().add(kernels_);
}

Accesses& accesses() {
  totals();  // is made first, and so outlives this thread's
  thread_local Accesses accesses;
  return accesses;
}

namespace {

void arrive(const char* kernel, const void* group, int lanes) {
  accesses().arrive(kernel, group, lanes);
}
const bool kWatches = (on_arrive = arrive, true);

}  // namespace
}  // namespace potluck::emulator

#define POTLUCK_TOUCH(name, bytes)                                               \
  extern "C" void __tsan_##name(void* at) {                                      \
    potluck::emulator::accesses().touch(__builtin_return_address(0), at, bytes); \
  }
POTLUCK_TOUCH(read1, 1)
POTLUCK_TOUCH(read2, 2)
POTLUCK_TOUCH(read4, 4)
POTLUCK_TOUCH(read8, 8)
POTLUCK_TOUCH(read16, 16)
POTLUCK_TOUCH(write1, 1)
POTLUCK_TOUCH(write2, 2)
POTLUCK_TOUCH(write4, 4)
POTLUCK_TOUCH(write8, 8)
POTLUCK_TOUCH(write16, 16)
POTLUCK_TOUCH(unaligned_read2, 2)
POTLUCK_TOUCH(unaligned_read4, 4)
POTLUCK_TOUCH(unaligned_read8, 8)
POTLUCK_TOUCH(unaligned_read16, 16)
POTLUCK_TOUCH(unaligned_write2, 2)
POTLUCK_TOUCH(unaligned_write4, 4)
POTLUCK_TOUCH(unaligned_write8, 8)
POTLUCK_TOUCH(unaligned_write16, 16)
#undef POTLUCK_TOUCH

extern "C" {
void __tsan_read_range(void* at, size_t bytes) {
  potluck::emulator::accesses().touch(__builtin_return_address(0), at, bytes);
}
void __tsan_write_range(void* at, size_t bytes) {
  potluck::emulator::accesses().touch(__builtin_return_address(0), at, bytes);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
}
