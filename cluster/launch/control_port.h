// Where other machines reach the control channel of a coordinator.
#pragma once

#include <string>
#include <vector>

namespace potluck {

// A coordinator that takes other machines in listens here, unless it is told another port.
inline constexpr int kControlPort = 7117;

// Where the programs of this user find it: a socket in the state folder.
std::string control_socket(const std::string& state_folder);

// "10.0.0.3:7117" for each address of this machine that others might reach it by, as many as a
// token holds.
std::vector<std::string> control_addresses(int port = kControlPort);
// Adds the port to what somebody has written, HOST or HOST:PORT. Throws Fault{input} for neither.
std::vector<std::string> control_addresses_of(const std::vector<std::string>& written);

}  // namespace potluck
