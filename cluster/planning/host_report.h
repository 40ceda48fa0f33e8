// Reports on one machine, from that machine: a JSON object, which people get as text and a doctor
// elsewhere as it is.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/planning/finding.h"
#include "topology/model/locator.h"

namespace potluck {

// A device that is to be measured, and how a worker would use it.
struct AskedDevice {
  std::string device;         // "cpu", "cuda:0"
  int threads = 0;            // of a CPU; 0: one for each core
  uint64_t memory_bytes = 0;  // the most to take; 0: what is free
};

struct HostQuestion {
  std::string model;                 // as -m names it; empty: the released one, made up
  std::vector<AskedDevice> devices;  // none: all that can be used
  int threads = 0;                   // of a CPU that devices do not name
  bool fresh = false;                // measure also what is known from before
  std::string shapes;                // of the model, where it may not be (synthetic.h)
};

nlohmann::ordered_json question_json(const HostQuestion& question);
// Throws nlohmann's exception for what question_json() did not write.
HostQuestion question_of(const nlohmann::ordered_json& json);

struct HostPlaces {
  ModelPlaces models;
  std::string config, cache;  // potluck's folders among the person's settings and caches
};

// Keys: software, host, key, cpu, memory, devices, model, disk, interfaces, firewall, findings.
// Never throws for a model that is not there: that is a finding.
nlohmann::ordered_json host_report(const HostQuestion& question, const HostPlaces& places);

std::vector<Finding> findings_of(const nlohmann::ordered_json& report);

}  // namespace potluck
