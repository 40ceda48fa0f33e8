// A LinkHost owns the Links of a transport and runs them: on an I/O thread above a pipe, or between
// threads of one process.
#pragma once

#include <functional>
#include <string>

#include "transport/link/links.h"
#include "transport/link/mailbox.h"

namespace potluck {

class LinkHost {
 public:
  virtual ~LinkHost() = default;  // says goodbye on every link
  virtual Time time() const = 0;  // by the clock that its links live by
  virtual Mailbox& mailbox() = 0;
  // Runs it on the links, in order; perhaps later, on another thread.
  virtual void order(std::function<void(Links& links)> work) = 0;
  virtual std::string listen(const std::string& endpoint) = 0;
  // The message as it will travel. Throws Fault{input} if it passes a limit (message.h).
  virtual Parcel pack(Message message) = 0;
};

}  // namespace potluck
