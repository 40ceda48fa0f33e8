// Cards are listed by asking each vendor's driver; what it cannot say, the kernel's files do.
#include "backends/gpu/cards.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <utility>

#include "backends/gpu/code_objects.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr const char* kKinds[] = {"cuda", "hip"};

std::string group_of(const std::string& file) {
  struct stat facts {};
  if (stat(file.c_str(), &facts) != 0) return "root";
  const group* owner = getgrgid(facts.st_gid);
  return owner ? owner->gr_name : std::to_string(facts.st_gid);
}

// A library that reaches no card does not say whether the user may, or whether there is one.
Fault explain(const Fault& fault, const std::string& file) {
  if (access(file.c_str(), R_OK | W_OK) == 0) return fault;
  if (errno == EACCES || errno == EPERM)
    return Fault(FaultKind::world, "this user has no rights to " + file,
                 Fix{"add the user to the group " + group_of(file) + ", and log in again"});
  return Fault(FaultKind::world,
               "there is no " + file +
                   ", so the kernel's driver is not loaded, or this container was given no card (" +
                   fault.text() + ")");
}

struct Reached {
  std::shared_ptr<Vendor> vendor;
  int cards;
};

// Throws Fault{world} if no card of the kind can be reached.
Reached reach(const std::string& kind, const CardPlaces& places) {
  const bool cuda = kind == kKinds[0];
  std::shared_ptr<Vendor> vendor = cuda ? load_cuda(places.cuda) : load_hip(places.hip);
  try {
    vendor->start();
    return {vendor, count_cards(*vendor)};
  } catch (const Fault& fault) {
    throw explain(fault, cuda ? places.nvidia_file : places.amd_file);
  }
}

Card look_at(const std::shared_ptr<Vendor>& vendor, int number, const std::string& code) {
  Card card{vendor->kind() + ":" + std::to_string(number), {}, ""};
  try {
    card.facts = CardDriver(vendor, number).facts();
    code_object_for(read_code_objects(code), card.facts->architecture);
  } catch (const Fault& fault) {
    card.problem = fault.what();
  }
  return card;
}

// The number behind "cuda:", if it is one.
std::optional<int> number_of(const std::string& device, const std::string& prefix) {
  const char* end = device.data() + device.size();
  int number = -1;
  const auto read = std::from_chars(device.data() + prefix.size(), end, number);
  return read.ec == std::errc() && read.ptr == end && number >= 0 ? std::optional(number)
                                                                  : std::nullopt;
}

std::unique_ptr<GpuDriver> open_number(const CardPlaces& places, const std::string& kind,
                                       int number) {
  const Reached reached = reach(kind, places);
  if (number >= reached.cards)
    throw Fault(FaultKind::input, "there is no " + kind + ":" + std::to_string(number),
                Fix{"the last of its kind is " + kind + ":" + std::to_string(reached.cards - 1),
                    Setting::device});
  auto card = std::make_unique<CardDriver>(reached.vendor, number, places.patience);
  const std::vector<CodeObject> objects = read_code_objects(places.code);
  const CodeObject& object = code_object_for(objects, card->facts().architecture);
  card->load(std::as_bytes(std::span(object.code)));
  return card;
}

}  // namespace

std::string own_code_objects() {
  std::error_code none;
  return code_objects_path(std::filesystem::read_symlink("/proc/self/exe", none));
}

std::vector<Card> find_cards(const CardPlaces& places) {
  std::vector<Card> cards;
  for (const char* kind : kKinds) {
    try {
      const Reached reached = reach(kind, places);
      for (int i = 0; i < reached.cards; ++i)
        cards.push_back(look_at(reached.vendor, i, places.code));
    } catch (const Fault& fault) {
      cards.push_back({kind, {}, fault.what()});
    }
  }
  return cards;
}

std::unique_ptr<GpuDriver> open_card_of(const CardPlaces& places, const std::string& device) {
  for (const std::string kind : kKinds)
    if (device.rfind(kind + ":", 0) == 0)
      if (const auto number = number_of(device, kind + ":"))
        return open_number(places, kind, *number);
  throw Fault(FaultKind::input, "device \"" + device + "\" is unknown",
              Fix{"a device is cpu, cuda:N or hip:N"});
}

}  // namespace potluck
