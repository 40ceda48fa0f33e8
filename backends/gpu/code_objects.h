// The kernels as machine code, one code object for each architecture, in one file beside the
// program: a header, a table of architectures, and the code objects at multiples of 256 bytes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace potluck {

struct CodeObject {
  std::string architecture;  // it is compiled for: "sm_86", "sm_90a", "gfx1030"
  std::string code;          // as the driver takes it
};

// The contents of the file, for read_code_objects(); CHECKs the limits that reading checks.
std::string code_objects_file(const std::vector<CodeObject>& objects);

// Throws Fault{input} naming the file if it cannot be read, is damaged, or holds other kernels than
// those of this program.
std::vector<CodeObject> read_code_objects(const std::string& path);

// The code object for a card of this architecture ("sm_87", "gfx90a:xnack-"). NVIDIA's cards run
// code of their own number and of a smaller one with the same tens, of which the greatest is taken;
// code that ends in "a" runs on its own number only, and so do Jetsons and their code. AMD's cards
// run their own. Throws Fault{world} naming the architectures that there is code for.
const CodeObject& code_object_for(const std::vector<CodeObject>& objects,
                                  std::string_view architecture);

// Where the file of a program lies: beside it, or else where the demo models lie as well, in
// ../share/potluck.
std::string code_objects_path(const std::filesystem::path& program);

}  // namespace potluck
