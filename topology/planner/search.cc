// Depth-first branch and bound.
#include "topology/planner/search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>
#include <vector>

#include "topology/base/check.h"
#include "topology/planner/bound.h"
#include "topology/planner/symmetry.h"

namespace potluck {
namespace {

constexpr int kWordBits = 64;
constexpr size_t kRememberedMax = 200'000;  // nodes; about 80 MB of a model of 30 layers

uint64_t mixed(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15 + (hash << 6) + (hash >> 2);
  return hash * 0xBF58476D1CE4E5B9;
}

// The devices that are used, the last one, and, where a longest period is given, how busy the lines
// of hosts are that may be used again.
struct NodeKey {
  std::array<uint64_t, kDevicesMax / kWordBits> used{};
  int last = 0;
  std::vector<double> lines;
  bool operator==(const NodeKey&) const = default;
};

struct NodeHash {
  size_t operator()(const NodeKey& key) const {
    uint64_t hash = key.last;
    for (const uint64_t word : key.used) hash = mixed(hash, word);
    for (const double ms : key.lines) hash = mixed(hash, std::bit_cast<uint64_t>(ms));
    return hash;
  }
};

// The least times of all cuts with which a node was gone on from.
using Remembered = std::unordered_map<NodeKey, std::vector<double>, NodeHash>;

struct Child {
  int device = 0;
  double bound = 0;
  std::vector<double> done;  // [j]: the least ms for layers [0, j), the last range on `device`
};

// The best ring so far and the budget, which the searches of all heads share.
class Progress {
 public:
  explicit Progress(const SearchOptions& options) : options_(options), begin_(now()) {}

  SearchResult result;

  void count_node() {
    constexpr uint64_t kNodesBetweenLooks = 64;
    ++result.nodes;
    if (result.nodes >= options_.budget.nodes) out_of_budget_ = true;
    if (options_.budget.time && result.nodes % kNodesBetweenLooks == 0 &&
        now() - begin_ >= *options_.budget.time)
      out_of_budget_ = true;
  }
  bool is_better(double bound) const { return bound < result.step_ms - kSameMs; }
  bool ended() const { return out_of_budget_ || (options_.first_found && result.best); }
  void leave_open(double bound) { result.bound_ms = std::min(result.bound_ms, bound); }

 private:
  const SearchOptions& options_;
  const Time begin_;
  bool out_of_budget_ = false;
};

// Rings whose head is on one device.
class HeadSearch {
 public:
  HeadSearch(const Cuts& cuts, int head, Progress& progress)
      : cuts_(cuts),
        problem_(cuts.problem()),
        bound_(cuts, head),
        symmetry_(problem_, head),
        progress_(progress),
        order_{head, {}},
        used_(problem_.devices.size(), 0),
        used_on_(problem_.hosts.size(), 0),
        holders_on_(problem_.hosts.size(), 0),
        sent_(problem_.hosts.size(), 0),
        received_(problem_.hosts.size(), 0),
        rest_(cuts.layers()) {
    used_on_[host_of(head)] = 1;
    for (const PlanDevice& device : problem_.devices)
      if (device.may_hold_layers) ++holders_on_[device.host];
  }

  double root_bound() {
    const double ms = cuts_.head_ms(order_.head);
    bound_.rest(used_, host_of(order_.head), rest_);
    return ms + rest_[0];
  }

  void run() {
    std::vector<double> done(cuts_.layers() + 1, kNever);
    done[0] = cuts_.head_ms(order_.head);
    expand(order_.head, done);
  }

 private:
  int host_of(int device) const { return problem_.devices[device].host; }

  void expand(int at, const std::vector<double>& done) {
    if (static_cast<int>(order_.devices.size()) == std::min(cuts_.layers(), kMaxStages)) return;
    std::vector<Child> children;
    for (int device = 0; device < static_cast<int>(used_.size()); ++device)
      if (!used_[device] && problem_.devices[device].may_hold_layers &&
          symmetry_.may_follow(device, used_, used_on_))
        look_at(at, device, done, children);
    std::sort(children.begin(), children.end(),
              [](const Child& a, const Child& b) { return a.bound < b.bound; });
    for (Child& child : children) {
      if (!progress_.is_better(child.bound)) return;
      if (progress_.ended())
        progress_.leave_open(child.bound);
      else
        descend(at, child);
    }
  }

  // Counts the device as the last one, and keeps it as a child where its bound is good enough.
  void look_at(int at, int device, const std::vector<double>& done, std::vector<Child>& children) {
    const double hop = cuts_.hop_ms(at, device);
    if (hop == kNever || !line_is_free(at, device)) return;
    Child child{device, kNever, std::vector<double>(cuts_.layers() + 1)};
    cuts_.extend(order_.head, device, hop, done, child.done);
    progress_.count_node();
    use(at, device);
    if (child.done.back() != kNever) take_if_best(device, child.done.back());
    if (is_new(child, remembered_.find(key_of(device)))) set_bound(child);
    unuse(at, device);
    if (progress_.is_better(child.bound)) children.push_back(std::move(child));
  }

  // Cuts that cannot become the best ring's go no further.
  void set_bound(Child& child) {
    bound_.rest(used_, host_of(child.device), rest_);
    for (int j = 1; j < cuts_.layers(); ++j) {
      const double bound = child.done[j] + rest_[j];
      if (progress_.is_better(bound))
        child.bound = std::min(child.bound, bound);
      else
        child.done[j] = kNever;
    }
  }

  void take_if_best(int last, double ms) {
    const double step = ms + cuts_.hop_ms(last, order_.head);
    if (!progress_.is_better(step) || !line_is_free(last, order_.head)) return;
    progress_.result.step_ms = step;
    progress_.result.best = order_;
  }

  void descend(int at, Child& child) {
    use(at, child.device);
    const auto place = remembered_.find(key_of(child.device));
    if (is_new(child, place)) {
      remember(child, place);
      expand(child.device, child.done);
    }
    unuse(at, child.device);
  }

  // Takes those cuts out of the child that an earlier node has reached as soon, and says whether
  // any are left.
  bool is_new(Child& child, Remembered::const_iterator place) const {
    if (place == remembered_.end()) return true;
    bool any = false;
    for (int j = 0; j < cuts_.layers(); ++j)
      if (child.done[j] >= place->second[j])
        child.done[j] = kNever;
      else
        any = true;
    return any;
  }
  void remember(const Child& child, Remembered::iterator place) {
    if (place == remembered_.end()) {
      if (remembered_.size() < kRememberedMax)
        remembered_.emplace(key_of(child.device), child.done);
      return;
    }
    for (int j = 0; j < cuts_.layers(); ++j)
      place->second[j] = std::min(place->second[j], child.done[j]);
  }

  NodeKey key_of(int last) const {
    NodeKey key;
    key.last = last;
    for (size_t i = 0; i < used_.size(); ++i)
      if (used_[i]) key.used[i / kWordBits] |= uint64_t{1} << i % kWordBits;
    if (cuts_.period_max() == kNever) return key;
    for (int host = 0; host < static_cast<int>(sent_.size()); ++host) {
      const bool again = used_on_[host] < holders_on_[host] || host == host_of(order_.head);
      key.lines.push_back(again || host == host_of(last) ? sent_[host] : 0);
      key.lines.push_back(again ? received_[host] : 0);
    }
    return key;
  }

  bool line_is_free(int from, int to) const {
    const int a = host_of(from), b = host_of(to);
    const double ms = problem_.hops[a][b].wire_ms, most = cuts_.period_max() + kSameMs;
    return a == b || (sent_[a] + ms <= most && received_[b] + ms <= most);
  }

  void use(int from, int device) {
    used_[device] = 1;
    ++used_on_[host_of(device)];
    order_.devices.push_back(device);
    count_line(from, device, 1);
  }
  void unuse(int from, int device) {
    count_line(from, device, -1);
    order_.devices.pop_back();
    --used_on_[host_of(device)];
    used_[device] = 0;
  }
  void count_line(int from, int to, int times) {
    const int a = host_of(from), b = host_of(to);
    if (a == b) return;
    sent_[a] += times * problem_.hops[a][b].wire_ms;
    received_[b] += times * problem_.hops[a][b].wire_ms;
  }

  const Cuts& cuts_;
  const PlanProblem& problem_;
  const Bound bound_;
  const Symmetry symmetry_;
  Progress& progress_;
  Order order_;
  std::vector<char> used_;
  std::vector<int> used_on_;             // [host]: devices in use, the head's among them
  std::vector<int> holders_on_;          // [host]: devices that may hold layers
  std::vector<double> sent_, received_;  // [host]: ms for which its lines are busy
  std::vector<double> rest_;
  Remembered remembered_;
};

struct Root {
  int head = 0;
  double bound = 0;
};

}  // namespace

SearchResult search(const Cuts& cuts, const SearchOptions& options) {
  CHECK(cuts.problem().devices.size() <= kDevicesMax, cuts.problem().devices.size());
  Progress progress(options);
  SearchResult& result = progress.result;
  if (options.incumbent) {
    result.step_ms = cuts.least_step_ms(*options.incumbent);
    if (result.step_ms != kNever) result.best = options.incumbent;
  }
  std::vector<Root> roots;
  for (const int head : unlike_heads(cuts.problem()))
    roots.push_back({head, HeadSearch(cuts, head, progress).root_bound()});
  std::sort(roots.begin(), roots.end(),
            [](const Root& a, const Root& b) { return a.bound < b.bound; });
  for (const Root& root : roots) {
    if (!progress.is_better(root.bound)) break;
    if (progress.ended())
      progress.leave_open(root.bound);
    else
      HeadSearch(cuts, root.head, progress).run();
  }
  result.complete = result.bound_ms >= result.step_ms - kSameMs;
  result.bound_ms = std::min(result.bound_ms, result.step_ms);
  return result;
}

}  // namespace potluck
