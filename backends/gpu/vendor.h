// Vendor: the driver library of one vendor of cards. CUDA's driver and HIP's have the same calls
// under other names, so CardDriver (card_driver.h) uses either through the table below; what they
// do not share is in cuda_driver.cc and hip_driver.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace potluck {

// A function of the library and the name it has there. It returns 0, or a number for its error.
template <typename... Parameters>
struct DriverCall {
  int (*function)(Parameters...) = nullptr;
  const char* name = "";
};

// Cards are numbers from 0; streams, events, modules, functions and graphs are pointers. CUDA's
// addresses of device memory are integers of 64 bits, which are passed as pointers are wherever its
// driver runs.
struct DriverCalls {
  DriverCall<int*> count_cards;
  DriverCall<char*, int, int> card_name;  // text, its room, card
  DriverCall<char*, int, int> address;    // text, its room, card
  DriverCall<int*, int, int> attribute;   // value, which, card
  DriverCall<size_t*, size_t*> memory;    // free, total

  DriverCall<void**, size_t> allocate;
  DriverCall<void*> free;
  DriverCall<void**, size_t, unsigned> allocate_host;  // memory, bytes, flags
  DriverCall<void*> free_host;
  DriverCall<void*, const void*, size_t, void*> copy_in;  // to, from, bytes, stream
  DriverCall<void*, const void*, size_t, void*> copy_out;
  DriverCall<void*, const void*, size_t, void*> copy;
  DriverCall<void*, unsigned, size_t, void*> fill;  // to, word, words, stream

  DriverCall<void**, unsigned> make_stream;  // stream, flags
  DriverCall<void*> free_stream;
  DriverCall<void*> ask_stream;             // 0 if all that was enqueued has run, else kNotReady
  DriverCall<void**, unsigned> make_event;  // event, flags
  DriverCall<void*> free_event;
  DriverCall<void*> ask_event;                  // the same, of what came before it
  DriverCall<void*, void*> record;              // event, stream
  DriverCall<void*, void*, unsigned> wait_for;  // stream, event, flags
  DriverCall<float*, void*, void*> elapsed;     // milliseconds, from, to

  DriverCall<void**, const void*> load;                // module, code object
  DriverCall<void*> unload;                            // module
  DriverCall<void**, void*, const char*> find_kernel;  // function, module, name
  // The function, 3 extents of the grid, 3 of a block, bytes of dynamic shared memory, stream, a
  // pointer for each parameter, extras.
  DriverCall<void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*,
             void**, void**>
      launch;

  DriverCall<void*, int> begin_capture;                    // stream, mode
  DriverCall<void*, void**> end_capture;                   // stream, graph
  DriverCall<void**, void*, unsigned long long> make_run;  // what can be launched, graph, flags
  DriverCall<void*> free_graph;
  DriverCall<void*, void*> run_graph;  // what can be launched, stream
  DriverCall<void*> free_run;
};

// The numbers by which a library knows what can be asked of a card.
struct AttributeNumbers {
  int units, lanes, cache_bytes, shared_bytes, watchdog;
};

class Vendor {
 public:
  virtual ~Vendor() = default;

  virtual std::string kind() const = 0;     // "cuda"
  virtual std::string version() const = 0;  // "CUDA 12.2"
  virtual const DriverCalls& calls() const = 0;
  virtual const AttributeNumbers& attributes() const = 0;
  virtual std::string error_name(int error) const = 0;  // "CUDA_ERROR_OUT_OF_MEMORY"
  virtual std::string architecture(int card) = 0;       // "sm_86"

  // Looks for cards; before anything else but the names. Throws Fault{world}, also if there is
  // none.
  virtual void start() = 0;
  // Between open() and close(), which count, this thread's calls go to the card of its last
  // enter().
  virtual void open(int card) = 0;
  virtual void enter(int card) = 0;
  virtual void close(int card) noexcept = 0;
};

inline constexpr int kNoCard = -1;
inline constexpr int kOutOfMemory = 2, kNotReady = 600;  // both vendors number them so

// How many cards there are. Throws Fault{world} if there is none.
int count_cards(const Vendor& vendor);
// "NVIDIA GeForce RTX 3060 (cuda:0)".
std::string card_text(const Vendor& vendor, int card);

// Throws Fault{memory} for kOutOfMemory, else Fault{world}, with the names of card, call and error.
[[noreturn]] void throw_error(const Vendor& vendor, int card, const char* call, int error);

// Calls, and throws as throw_error() does.
template <typename... Parameters, typename... Given>
void call(const Vendor& vendor, int card, const DriverCall<Parameters...>& what, Given... given) {
  const int error = what.function(given...);
  if (error != 0) throw_error(vendor, card, what.name, error);
}

}  // namespace potluck
