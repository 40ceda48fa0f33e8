// Reads orders, obeys them one after another, and answers.
#include "cluster/planning/orders.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "cluster/cli/json_line.h"
#include "cluster/planning/reach.h"
#include "topology/base/fault.h"
#include "topology/base/wall_clock.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;

ordered_json problem_json(const Fault& fault) {
  return {{"problem", fault.text()}, {"fix", fault.fix().text}};
}

}  // namespace

ordered_json Orders::listen(const ordered_json& order) {
  AnswererOptions options;
  options.port_first = order.at("ports").at(0);
  options.port_last = order.at("ports").at(1);
  options.keys = order.at("keys");
  options.plain_host = order.at("plain_host");
  answerer_.reset();
  answerer_ = std::make_unique<LinkAnswerer>(KeyFile(places_.config), options);
  return {{"port", answerer_->port()}};
}

ordered_json Orders::obey(const ordered_json& order) {
  const std::string what = order.at("order");
  if (what == "report") return host_report(question_of(order), places_);
  if (what == "clock") return {{"unix_seconds", fine_unix_seconds()}};
  if (what == "listen") return listen(order);
  if (what == "reach") return reached_json(reach(reach_of(order), KeyFile(places_.config)));
  throw Fault(FaultKind::input, "order \"" + what + "\" is unknown");
}

int take_orders(const HostPlaces& places) {
  Orders orders(places);
  for (std::string line; std::getline(std::cin, line);) {
    ordered_json answer;
    try {
      answer = orders.obey(ordered_json::parse(line));
    } catch (const Fault& fault) {
      answer = problem_json(fault);
    } catch (const nlohmann::json::exception& error) {
      answer = problem_json(
          Fault(FaultKind::input, std::string("an order cannot be read: ") + error.what()));
    }
    std::puts(json_line(answer).c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace potluck
