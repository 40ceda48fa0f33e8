// Requests and replies of ZAP 1.0.
#include "transport/zmq/gate.h"

#include <utility>

#include "topology/base/key.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {
namespace {

constexpr char kZapEndpoint[] = "inproc://zeromq.zap.01";
constexpr char kZapVersion[] = "1.0";
// Frames of a request: version, id, domain, address, routing id, mechanism, key.
constexpr size_t kId = 1, kAddress = 3, kMechanism = 5, kKey = 6, kRequestFrames = 7;

std::vector<std::string> frames_of(zmq::socket_t& socket) {
  std::vector<std::string> frames;
  zmq::message_t frame;
  bool more = true;
  while (more && socket.recv(frame, zmq::recv_flags::dontwait)) {
    frames.push_back(frame.to_string());
    more = frame.more();
  }
  return frames;
}

}  // namespace

Gate::Gate(zmq::context_t& context) : socket_(context, zmq::socket_type::rep) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind(kZapEndpoint);
}

std::vector<Caller> Gate::answer() {
  std::vector<Caller> turned_away;
  for (;;) {
    const std::vector<std::string> request = frames_of(socket_);
    if (request.empty()) return turned_away;
    const bool whole = request.size() == kRequestFrames && request[kMechanism] == "CURVE" &&
                       request[kKey].size() == kKeyBytes;
    const std::string key = whole ? key_text(request[kKey]) : "";
    const bool allowed = whole && (allowed_.count(key) > 0 || allowed_.count(kAnyKey) > 0);
    if (whole && !allowed) turned_away.push_back({request[kAddress], key});
    reply(request.size() > kId ? request[kId] : "", allowed, key);
  }
}

// The key is the connection's user id from now on, which each of its frames tells.
void Gate::reply(const std::string& id, bool allowed, const std::string& key) {
  const std::string frames[] = {
      kZapVersion,        id, allowed ? "200" : "400", allowed ? "" : "this key may not call",
      allowed ? key : "", ""};
  for (const std::string& frame : frames)
    socket_.send(zmq::buffer(frame), &frame == &frames[5]
                                         ? zmq::send_flags::dontwait
                                         : zmq::send_flags::dontwait | zmq::send_flags::sndmore);
}

void Gate::append_poll_items(std::vector<zmq::pollitem_t>& items) {
  items.push_back({socket_.handle(), 0, ZMQ_POLLIN, 0});
}

std::string key_of(zmq::message_t& frame) {
  const char* key = zmq_msg_gets(frame.handle(), "User-Id");
  return key ? key : "";
}

}  // namespace potluck
