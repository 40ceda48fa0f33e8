// A GGUF file: opened, every tensor touched, its vocabulary made a tokenizer.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "coordinator/text/tokenizer.h"
#include "tests/fuzz/refused.h"
#include "tests/topology/model/tiny_model.h"
#include "topology/model/gguf.h"

namespace potluck {
namespace {

// A file of this process that has a path and no disk.
class MemoryFile final {
 public:
  MemoryFile() : descriptor_(memfd_create("input.gguf", MFD_CLOEXEC)) {
    CHECK(descriptor_ >= 0, errno);
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  void write(const uint8_t* data, size_t size) const {
    CHECK(ftruncate(descriptor_, 0) == 0, errno);
    CHECK(pwrite(descriptor_, data, size, 0) == static_cast<ssize_t>(size), errno);
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace
}  // namespace potluck

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace potluck;
  static const MemoryFile file;
  file.write(data, size);
  refused([] {
    const auto source = open_gguf(file.path());
    touch(*source);
    const Tokenizer tokenizer(source->vocabulary());
    for (int32_t id : tokenizer.encode("abc <eos>\xC3\xBC")) CHECK(id < source->spec().vocab, id);
  });
  return 0;
}
