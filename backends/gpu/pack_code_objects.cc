// Packs compiled kernels into the file that potluck reads; the architecture is each file's name.
//   pack_code_objects FILE ARCHITECTURE.code…
#include <cstdio>
#include <fstream>

#include "backends/gpu/code_objects.h"
#include "topology/base/fault.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

constexpr uint64_t kCodeBytesMax = 64 << 20;

void pack(const std::string& path, const std::vector<std::string>& codes) {
  std::vector<CodeObject> objects;
  for (const std::string& code : codes)
    objects.push_back(
        {std::filesystem::path(code).stem().string(), read_text_file(code, kCodeBytesMax)});
  const std::string file = code_objects_file(objects);
  std::ofstream out(path, std::ios::binary);
  if (!out.write(file.data(), static_cast<std::streamsize>(file.size())).flush())
    throw Fault(FaultKind::world, "cannot be written", path);
}

}  // namespace
}  // namespace potluck

int main(int count, char** arguments) {
  if (count < 3) {
    std::fputs("usage: pack_code_objects FILE ARCHITECTURE.code…\n", stderr);
    return 2;
  }
  try {
    potluck::pack(arguments[1], {arguments + 2, arguments + count});
  } catch (const potluck::Fault& fault) {
    std::fprintf(stderr, "pack_code_objects: %s\n", fault.what());
    return potluck::exit_code(fault.kind());
  }
  return 0;
}
