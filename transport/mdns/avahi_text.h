// The words that both sides of mDNS use, and their form in a TXT record.
#pragma once

#include <avahi-common/malloc.h>
#include <avahi-common/strlst.h>

#include <memory>
#include <string>

#include "transport/mdns/mdns.h"

namespace potluck {

inline constexpr char kMdnsService[] = "_potluck._tcp";

// Frees a text that Avahi has made.
struct AvahiFree {
  void operator()(char* text) const { avahi_free(text); }
};

// Frees a list when it goes out of scope.
class TextRecord final {
 public:
  explicit TextRecord(const Advertised& what);
  ~TextRecord() { avahi_string_list_free(list_); }
  TextRecord(const TextRecord&) = delete;
  TextRecord& operator=(const TextRecord&) = delete;
  AvahiStringList* get() const { return list_; }

 private:
  AvahiStringList* const list_;
};

// The value of a key, cut after 256 bytes; empty if there is none.
std::string text_value(AvahiStringList* list, const char* key);

// Why Avahi cannot be used here, with what to do.
std::string no_avahi_line(int error);

}  // namespace potluck
