// Writes and reads the TXT record of a cluster.
#include "transport/mdns/avahi_text.h"

#include <avahi-common/error.h>

#include <algorithm>

namespace potluck {
namespace {

constexpr size_t kValueBytesMax = 256;  // a string of a TXT record has 255 at most

}  // namespace

TextRecord::TextRecord(const Advertised& what)
    : list_(avahi_string_list_new(("key=" + what.cluster_key).c_str(),
                                  ("software=" + what.software).c_str(), nullptr)) {}

std::string text_value(AvahiStringList* list, const char* key) {
  AvahiStringList* found = avahi_string_list_find(list, key);
  char* value = nullptr;
  size_t bytes = 0;
  if (!found || avahi_string_list_get_pair(found, nullptr, &value, &bytes) != 0 || !value)
    return "";
  const std::unique_ptr<char, AvahiFree> owned(value);
  return {value, std::min(bytes, kValueBytesMax)};
}

std::string no_avahi_line(int error) {
  return std::string("clusters are not found by themselves here: Avahi says \"") +
         avahi_strerror(error) +
         "\"; start its daemon (systemctl start avahi-daemon), or join by a token, which has the "
         "address";
}

}  // namespace potluck
