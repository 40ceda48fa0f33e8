// Registers a cluster with the Avahi daemon from a thread of Avahi's own, again whenever the daemon
// has been away, and under another name when the network has ours already.
#include <avahi-client/client.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/domain.h>
#include <avahi-common/error.h>
#include <avahi-common/thread-watch.h>
#include <avahi-common/timeval.h>

#include "transport/mdns/avahi_text.h"
#include "transport/mdns/mdns.h"

namespace potluck {
namespace {

constexpr unsigned kRegisterMs = 4000;  // a daemon takes 1 s, or 2 when it has to wait
constexpr size_t kKeyDigits = 8;        // of the cluster's key, in a name that another has too
constexpr size_t kServiceNameBytesMax = AVAHI_LABEL_MAX - 1;

// The machine's name is cut where the whole would be too long.
std::string service_name(const Advertised& what, const std::string& end = "") {
  const std::string begin = "potluck on ";
  return begin + what.name.substr(0, kServiceNameBytesMax - begin.size() - end.size()) + end;
}

class AvahiAdvertiser final : public Advertiser {
 public:
  AvahiAdvertiser(const Advertised& what, int port, MdnsLog log)
      : what_(what), port_(port), log_(std::move(log)), name_(service_name(what)) {
    int error = 0;
    poll_ = avahi_threaded_poll_new();
    if (!poll_) return;
    // on_client() may run before this returns.
    if (avahi_client_new(avahi_threaded_poll_get(poll_), AVAHI_CLIENT_NO_FAIL, on_client, this,
                         &error)) {
      avahi_threaded_poll_start(poll_);
    } else {
      client_ = nullptr;
      log_(no_avahi_line(error));
    }
  }

  ~AvahiAdvertiser() override {
    if (!poll_) return;
    avahi_threaded_poll_stop(poll_);
    if (late_) avahi_threaded_poll_get(poll_)->timeout_free(late_);
    if (client_) avahi_client_free(client_);  // its groups go with it, and say goodbye
    avahi_threaded_poll_free(poll_);
  }
  AvahiAdvertiser(const AvahiAdvertiser&) = delete;
  AvahiAdvertiser& operator=(const AvahiAdvertiser&) = delete;

 private:
  static void on_client(AvahiClient* client, AvahiClientState state, void* self) {
    static_cast<AvahiAdvertiser*>(self)->client_changed(client, state);
  }
  static void on_group(AvahiEntryGroup*, AvahiEntryGroupState state, void* self) {
    if (state == AVAHI_ENTRY_GROUP_COLLISION) static_cast<AvahiAdvertiser*>(self)->rename();
  }

  void client_changed(AvahiClient* client, AvahiClientState state) {
    client_ = client;
    if (state == AVAHI_CLIENT_S_RUNNING) return publish();
    if (state == AVAHI_CLIENT_CONNECTING)
      log_(no_avahi_line(AVAHI_ERR_NO_DAEMON) + ", until it runs");
    if (state == AVAHI_CLIENT_FAILURE) log_(no_avahi_line(avahi_client_errno(client)));
    if (group_) avahi_entry_group_reset(group_);
  }

  void publish() {
    if (!group_) group_ = avahi_entry_group_new(client_, on_group, this);
    if (!group_ || !avahi_entry_group_is_empty(group_)) return;
    const TextRecord text(what_);
    int error = avahi_entry_group_add_service_strlst(
        group_, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, AvahiPublishFlags{}, name_.c_str(),
        kMdnsService, nullptr, nullptr, static_cast<uint16_t>(port_), text.get());
    if (error == AVAHI_ERR_COLLISION) return rename();
    if (error == 0) error = avahi_entry_group_commit(group_);
    if (error != 0) return log_(no_avahi_line(error));
    look_again();
  }

  // A daemon (0.8) whose interface gets another address while it makes sure that a name is free
  // never comes to an end with that: it gives the name to who asks, and no address.
  void look_again() {
    const AvahiPoll* poll = avahi_threaded_poll_get(poll_);
    timeval when{};
    avahi_elapse_time(&when, kRegisterMs, 0);
    if (late_)
      poll->timeout_update(late_, &when);
    else
      late_ = poll->timeout_new(poll, &when, on_late, this);
  }
  static void on_late(AvahiTimeout*, void* self) {
    static_cast<AvahiAdvertiser*>(self)->publish_if_stuck();
  }
  void publish_if_stuck() {
    if (!group_ || avahi_entry_group_get_state(group_) != AVAHI_ENTRY_GROUP_REGISTERING) return;
    avahi_entry_group_reset(group_);
    publish();
  }

  void rename() {
    name_ = next_name();
    avahi_entry_group_reset(group_);
    publish();
  }

  // Two daemons (0.8) that ask for one name at once can each lose it to the other. Both would count
  // on from there and meet again, so what comes next is of a key that is nobody else's.
  std::string next_name() const {
    if (name_ == service_name(what_))
      return service_name(what_, std::string(" ").append(what_.cluster_key, 0, kKeyDigits));
    const std::unique_ptr<char, AvahiFree> next(avahi_alternative_service_name(name_.c_str()));
    return next.get();
  }

  const Advertised what_;
  const int port_;
  const MdnsLog log_;
  std::string name_;
  AvahiThreadedPoll* poll_ = nullptr;
  AvahiClient* client_ = nullptr;
  AvahiEntryGroup* group_ = nullptr;
  AvahiTimeout* late_ = nullptr;
};

}  // namespace

std::unique_ptr<Advertiser> advertise(const Advertised& what, int port, MdnsLog log) {
  return std::make_unique<AvahiAdvertiser>(what, port, std::move(log));
}

}  // namespace potluck
