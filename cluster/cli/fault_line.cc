// Adds to a fault's line the flag of the setting that its fix would change.
#include "cluster/cli/fault_line.h"

namespace potluck {
namespace {

const char* flag_of(Setting setting) {
  switch (setting) {
    case Setting::none:
      return "";
    case Setting::model:
      return "-m";
    case Setting::context:
      return "-c";
    case Setting::stages:
      return "--stages";
    case Setting::split:
      return "--split";
    case Setting::steps:
      return "--steps";
    case Setting::step_timeout:
      return "--step-timeout";
    case Setting::chat_format:
      return "--raw";
    case Setting::device:
      return "potluck worker --device";
    case Setting::card_layers:
      return "--gpu-layers";
    case Setting::plain_links:
      return "--insecure-plaintext";
  }
  return "";
}

}  // namespace

std::string fault_line(const Fault& fault) {
  const std::string flag = flag_of(fault.fix().setting);
  return flag.empty() ? fault.what() : fault.what() + (" (" + flag + ")");
}

}  // namespace potluck
