// Asks the Avahi daemon for clusters and where they are, in one loop on the caller's thread.
#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-common/error.h>
#include <avahi-common/simple-watch.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <memory>

#include "topology/base/key.h"
#include "transport/mdns/avahi_text.h"
#include "transport/mdns/mdns.h"

namespace potluck {
namespace {

constexpr int kTurnMs = 50;  // of the loop, between two looks at the clock

struct PollFree {
  void operator()(AvahiSimplePoll* poll) const { avahi_simple_poll_free(poll); }
};
struct ClientFree {
  void operator()(AvahiClient* client) const { avahi_client_free(client); }
};

std::string address_text(const AvahiAddress& address, AvahiIfIndex interface, uint16_t port) {
  std::array<char, AVAHI_ADDRESS_STR_MAX> text{};
  avahi_address_snprint(text.data(), text.size(), &address);
  std::string host = text.data();
  if (address.proto == AVAHI_PROTO_INET6) {
    std::array<char, IF_NAMESIZE> name{};
    if (host.rfind("fe80:", 0) == 0 && if_indextoname(interface, name.data()))
      host.append("%").append(name.data());
    host.insert(0, 1, '[').append("]");
  }
  return host + ":" + std::to_string(port);
}

class Browser final {
 public:
  explicit Browser(const MdnsLog& log) : poll_(avahi_simple_poll_new()) {
    int error = 0;
    if (poll_)
      client_.reset(avahi_client_new(avahi_simple_poll_get(poll_.get()), AvahiClientFlags{},
                                     on_client, this, &error));
    if (!client_)
      log(no_avahi_line(error));
    else if (!avahi_service_browser_new(client_.get(), AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                        kMdnsService, nullptr, AvahiLookupFlags{}, on_service,
                                        this))
      log(no_avahi_line(avahi_client_errno(client_.get())));
  }

  std::vector<FoundCluster> run(Duration patience) {
    const Time deadline = now() + patience;
    while (client_ && now() < deadline && avahi_simple_poll_iterate(poll_.get(), kTurnMs) == 0) {
    }
    return std::move(found_);
  }

 private:
  static void on_client(AvahiClient*, AvahiClientState state, void* self) {
    if (state == AVAHI_CLIENT_FAILURE)
      avahi_simple_poll_quit(static_cast<Browser*>(self)->poll_.get());
  }

  // Resolvers that have not answered are freed with the client.
  static void on_service(AvahiServiceBrowser* browser, AvahiIfIndex interface,
                         AvahiProtocol protocol, AvahiBrowserEvent event, const char* name,
                         const char* type, const char* domain, AvahiLookupResultFlags, void* self) {
    Browser& owner = *static_cast<Browser*>(self);
    if (event != AVAHI_BROWSER_NEW || owner.asked_++ >= kFoundMax) return;
    avahi_service_resolver_new(avahi_service_browser_get_client(browser), interface, protocol, name,
                               type, domain, protocol, AvahiLookupFlags{}, on_resolved, self);
  }

  static void on_resolved(AvahiServiceResolver* resolver, AvahiIfIndex interface, AvahiProtocol,
                          AvahiResolverEvent event, const char* name, const char*, const char*,
                          const char*, const AvahiAddress* address, uint16_t port,
                          AvahiStringList* text, AvahiLookupResultFlags, void* self) {
    if (event == AVAHI_RESOLVER_FOUND)
      static_cast<Browser*>(self)->add(
          {{name, text_value(text, "key"), text_value(text, "software")},
           address_text(*address, interface, port)});
    avahi_service_resolver_free(resolver);
  }

  void add(FoundCluster cluster) {
    const bool known = std::any_of(found_.begin(), found_.end(), [&](const FoundCluster& other) {
      return other.address == cluster.address && other.said.cluster_key == cluster.said.cluster_key;
    });
    if (!known && is_key(cluster.said.cluster_key)) found_.push_back(std::move(cluster));
  }

  std::unique_ptr<AvahiSimplePoll, PollFree> poll_;
  std::unique_ptr<AvahiClient, ClientFree> client_;
  size_t asked_ = 0;
  std::vector<FoundCluster> found_;
};

}  // namespace

std::vector<FoundCluster> find_clusters(Duration patience, const MdnsLog& log) {
  return Browser(log).run(patience);
}

}  // namespace potluck
