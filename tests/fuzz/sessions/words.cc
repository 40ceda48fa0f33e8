// Messages begin as an honest party's and are damaged field by field, so that most of a damaged one
// still fits and reaches what looks at the rest.
#include "tests/fuzz/sessions/words.h"

#include <sys/mman.h>

#include <cstring>
#include <limits>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/version.h"
#include "transport/candidates.h"
#include "transport/wire/wire.h"

namespace potluck {
namespace {

constexpr PeerId kPeers[] = {0, 1, 2, 3, 4, 5, 77, 200, 257, 258, 259, 1000, kUnassignedPeer};
constexpr uint64_t kSessions[] = {1, 2, 0, 3, 4, 5, 1u << 31, ~uint64_t{0}};
constexpr int32_t kCounts[] = {0,  1,  2,  3,  4,  7,  8,  9,       15,        16,       31,
                               32, 63, 64, 65, -1, -8, 48, 1 << 20, INT32_MAX, INT32_MIN};
constexpr double kTemperatures[] = {1,
                                    0.5,
                                    0,
                                    -1,
                                    1e-300,
                                    -0.,
                                    1e300,
                                    std::numeric_limits<double>::infinity(),
                                    std::numeric_limits<double>::quiet_NaN(),
                                    std::numeric_limits<double>::denorm_min()};
constexpr uint8_t kTypes[] = {0, 1, 30, 8, 12, 2, 3, 6, 7, 10, 11, 13, 14, 15, 24, 28, 99, 255};
constexpr size_t kLargePayload = kPayloadBytesMax;

// Stands in a text for bytes that no encoder writes; as long as what takes its place.
constexpr char kMark[] = "~~~";
constexpr const char* kDrivers[] = {"\x1B[J",       "\xC2\x9BJ", "\xE2\x80\xAE", "\xE2\x80\xA8",
                                    "\xFF\xFE\xC2", "\r\n\a",    "\xED\xA0\x80"};

template <typename T>
void set(Draws& draws, T& field, const T& value) {
  field = draws.once_in(8) ? static_cast<T>(static_cast<uint64_t>(field) + 1) : value;
}

// Room that takes no memory, for payloads of which the size alone matters.
const std::byte* large_room() {
  static const void* const room =
      mmap(nullptr, kLargePayload, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(room != MAP_FAILED);
  return static_cast<const std::byte*>(room);
}

void replace_marks(Draws& draws, std::vector<std::byte>& header) {
  const size_t bytes = sizeof(kMark) - 1;
  for (size_t at = 0; at + bytes <= header.size(); ++at)
    if (std::memcmp(&header[at], kMark, bytes) == 0)
      std::memcpy(&header[at], draws.one_of(kDrivers), bytes);
}

}  // namespace

Words::Words(const ModelSource& source, const Plan& plan)
    : source_(source), plan_(plan), spec_digest_(spec_digest(source)) {}

Payload Words::held(size_t bytes, std::vector<std::byte> content) {
  ledger_.bytes += bytes;
  const auto release = [this, bytes](std::vector<std::byte>* kept) {
    ledger_.bytes -= bytes;
    delete kept;
  };
  const std::shared_ptr<std::vector<std::byte>> owner(
      new std::vector<std::byte>(std::move(content)), release);
  return {owner->empty() ? large_room() : owner->data(), bytes, MemoryKind::host, owner};
}

std::string Words::text(Draws& draws) {
  switch (draws.below(5)) {
    case 0:
      return "evil";
    case 1:
      return std::string("e") + kMark + "vil" + kMark;
    case 2:
      return "";
    case 3:
      return std::string(kTextBytesMax, 'x');
    default:
      return std::string(kTextBytesMax - 3, '~');
  }
}

Message Words::fitting(Draws& draws, MessageKind kind, Scene& scene) {
  Message m;
  m.header.kind = kind;
  stamp(m.header, scene.ring);
  m.header.session = draws.once_in(4) ? draws.one_of(kSessions) : 1;
  m.header.request = 1;
  const auto length = scene.lengths.find(m.header.session);
  if (kind == MessageKind::open) scene.lengths[m.header.session] = 0;
  if (kind == MessageKind::close) scene.lengths.erase(m.header.session);
  if (kind == MessageKind::truncate && length != scene.lengths.end())
    length->second = m.header.kv_length_before = static_cast<int>(draws.below(length->second + 1));
  if (kind == MessageKind::encode || kind == MessageKind::denoise) make_data(draws, scene, m);
  if (kind == MessageKind::candidates) {
    const size_t canvas = source_.spec().canvas;
    Candidates c{std::vector<int32_t>(canvas, 5), std::vector<int32_t>(canvas, 7),
                 std::vector<float>(canvas, 0.5f)};
    m.payload = encode_candidates(c);
  }
  make_body(draws, scene, m);
  return m;
}

void Words::make_data(Draws& draws, Scene& scene, Message& m) {
  Header& h = m.header;
  const ModelSpec& spec = source_.spec();
  const bool encode = h.kind == MessageKind::encode;
  int& length = scene.lengths[h.session];
  h.rows = encode ? 1 + static_cast<int>(draws.below(plan_.chunk)) : spec.canvas;
  h.first_position = h.kv_length_before = length;
  if (encode) length += h.rows;
  h.key.step = draws.once_in(4) ? 1 : 0;
  const size_t row = scene.with_ids ? sizeof(int32_t) : spec.hidden * sizeof(float);
  std::vector<std::byte> content(row * h.rows);
  for (size_t at = 0; scene.with_ids && at < content.size(); at += row)
    content[at] = static_cast<std::byte>(draws.below(spec.vocab));
  m.payload = held(content.size(), std::move(content));
}

void Words::make_body(Draws& draws, Scene& scene, Message& m) {
  switch (m.header.kind) {
    case MessageKind::hello:
      m.hello = Hello{kSoftware, text(draws)};
      break;
    case MessageKind::load:
      m.header.epoch = ++scene.ring.epoch;
      m.load = Load{plan_, static_cast<PeerId>(1 + draws.below(3)), {spec_digest_, 0, {}}};
      m.load->plan.epoch = scene.ring.epoch;
      scene.lengths.clear();
      break;
    case MessageKind::ready:
      m.ready.emplace();
      break;
    case MessageKind::fault:
    case MessageKind::goodbye:
      m.fault = FaultReport{FaultKind::world, text(draws), text(draws), {text(draws)}};
      break;
    case MessageKind::heartbeat:
      m.heartbeat = Heartbeat{draws.once_in(4) ? draws.below(1 << 16) : 0};
      break;
    case MessageKind::card_link:
      m.card_link.emplace();
      m.card_link->step = static_cast<CardLink::Step>(draws.below(8));
      m.card_link->number = draws.below(4);
      break;
    default:
      break;
  }
}

Message Words::any(Draws& draws, const Scene& scene) {
  Scene mine = scene;
  mine.with_ids = draws.once_in(2);
  Message m = fitting(draws, draws.one_of(kAllKinds), mine);
  for (uint64_t times = draws.below(6); times > 0; --times) damage(draws, m);
  return m;
}

void Words::damage(Draws& draws, Message& m) {
  switch (draws.below(5)) {
    case 0:
      return damage_place(draws, m);
    case 1:
    case 2:
      return damage_numbers(draws, m.header);
    case 3:
      return damage_payload(draws, m);
    default:
      return damage_body(draws, m);
  }
}

void Words::damage_place(Draws& draws, Message& m) {
  Header& h = m.header;
  switch (draws.below(6)) {
    case 0:
      h.kind = draws.one_of(kAllKinds);
      break;
    case 1:
      h.incarnation = draws.once_in(2) ? 0 : h.incarnation + 1;
      break;
    case 2:
      h.epoch = draws.once_in(2) ? ~0u : h.epoch + 1;
      break;
    case 3:
      h.source = draws.one_of(kPeers);
      break;
    case 4:
      h.destination = draws.one_of(kPeers);
      break;
    default:
      h.protocol = kProtocolVersion - 1 + draws.below(3);
  }
}

void Words::damage_numbers(Draws& draws, Header& h) {
  switch (draws.below(11)) {
    case 0:
      return set(draws, h.session, draws.one_of(kSessions));
    case 1:
      return set(draws, h.request, static_cast<uint32_t>(draws.one_of(kCounts)));
    case 2:
      return set(draws, h.kv_length_before, draws.one_of(kCounts));
    case 3:
      return set(draws, h.first_position, draws.one_of(kCounts));
    case 4:
      return set(draws, h.rows, draws.one_of(kCounts));
    case 5:
      h.first_position = h.kv_length_before = draws.one_of(kCounts);
      return;
    case 6:
      h.dtype = static_cast<DType>(draws.one_of(kTypes));
      return;
    case 7:
      h.temperature = draws.one_of(kTemperatures);
      return;
    case 8:
      h.fork_of = draws.one_of(kSessions);
      return;
    case 9:
      h.hops.resize(draws.one_of({0, 1, 2, 3, 4, 5, 256, 260}), Hop{draws.one_of(kPeers)});
      return;
    default:
      set(draws, draws.once_in(2) ? h.key.step : h.key.canvas,
          static_cast<uint32_t>(draws.one_of(kCounts)));
  }
}

void Words::damage_payload(Draws& draws, Message& m) {
  m.header.digest = draws.once_in(8) ? 0xBAD : 0;
  Payload& p = m.payload;
  if (draws.once_in(16)) {
    m.header.digest = 0;  // which takes long to compute
    p = held(draws.once_in(2) ? kLargePayload : kLargePayload / 100, {});
  }
  if (p.bytes > 1 << 16) return;
  std::vector<std::byte> content(p.bytes);
  if (p.bytes) std::memcpy(content.data(), p.data, p.bytes);
  if (draws.once_in(4)) content.resize(draws.one_of({0, 1, 3, 4, 32, 96, 1024, 4096}));
  if (draws.once_in(4) && content.size() >= 4) content.resize(content.size() - 4);
  for (uint64_t times = draws.below(4); times > 0 && content.size() >= 4; --times) {
    const uint32_t word =
        draws.one_of({0u, 1u, ~0u, 0x7FC00000u, 0x7F800000u, 0x7F7FFFFFu, 320u, 5u});
    std::memcpy(&content[draws.below(content.size() / 4) * 4], &word, sizeof(word));
  }
  p = held(content.size(), std::move(content));
  if (p.bytes == 0) p = {};
}

void Words::damage_body(Draws& draws, Message& m) {
  if (m.load) {
    if (draws.once_in(8)) m.load->you = draws.one_of(kPeers);
    if (draws.once_in(8)) ++m.load->model.spec;
    if (draws.once_in(8)) m.load->model.layers.resize(draws.below(kLayersMax), 5);
    return damage_plan(draws, m.load->plan);
  }
  if (m.heartbeat) m.heartbeat->taken = draws.one_of(kSessions);
  if (m.ready) m.ready->weight_bytes = m.ready->kv_bytes = draws.one_of(kSessions);
  if (m.ready) m.ready->device = text(draws);
  if (m.hello) m.hello->name = text(draws);
  if (m.fault) m.fault->kind = static_cast<FaultKind>(draws.below(7));
  if (!draws.once_in(4)) return;
  m.hello.reset();  // another kind's body, or none
  if (draws.once_in(2)) m.card_link.emplace();
}

void Words::damage_plan(Draws& draws, Plan& plan) {
  switch (draws.below(10)) {
    case 0:
      plan.ctx_size = draws.one_of(kCounts);
      break;
    case 1:
      plan.sessions = draws.one_of(kCounts);
      break;
    case 2:
      plan.chunk = draws.one_of(kCounts);
      break;
    case 3:
      plan.slots = draws.one_of(kCounts);
      break;
    case 4:
      plan.stream = static_cast<DType>(draws.one_of(kTypes));
      break;
    case 5:
      plan.kv = static_cast<DType>(draws.one_of(kTypes));
      break;
    case 6:
      plan.stages.resize(draws.one_of({0, 1, 2, 3, 5, 256, 257}), plan_.stages[0]);
      break;
    case 7:
      plan.precision = Precision::exact;
      break;
    default:
      damage_worker(draws, draws.once_in(3) || plan.stages.empty()
                               ? plan.head
                               : plan.stages[draws.below(plan.stages.size())]);
  }
}

void Words::damage_worker(Draws& draws, WorkerPlan& worker) {
  switch (draws.below(8)) {
    case 0:
      worker.endpoint = kEvilEndpoint;
      break;
    case 1:
      worker.endpoint = draws.once_in(2) ? kNoEndpoint : draws.once_in(2) ? "" : "tcp://x:y";
      break;
    case 2:
      worker.endpoint = plan_.head.endpoint;
      break;
    case 3:
      worker.name = text(draws);
      break;
    case 4:
      worker.device = draws.once_in(2) ? "cuda:0" : text(draws);
      break;
    case 5:
      (draws.once_in(2) ? worker.layers.begin : worker.layers.end) = draws.one_of(kCounts);
      break;
    case 6:
      worker.hop_type = static_cast<DType>(draws.one_of(kTypes));
      break;
    default:
      worker.memory_bytes =
          draws.one_of({uint64_t{1}, uint64_t{1000}, uint64_t{1} << 20, ~uint64_t{0}});
      worker.by_nccl = draws.once_in(4);
  }
}

std::vector<Frames> Words::frames(Draws& draws, const Message& message) {
  Frames frames;
  try {
    frames = {encode_header(message), message.payload};
  } catch (const Fault&) {
    return {};
  }
  replace_marks(draws, frames.header);
  if (draws.once_in(32))
    for (uint64_t times = 1 + draws.below(4); times > 0; --times)
      frames.header[draws.below(frames.header.size())] ^= static_cast<std::byte>(draws.below(256));
  if (draws.once_in(64)) frames.header.resize(draws.below(frames.header.size()));
  return {frames};
}

}  // namespace potluck
