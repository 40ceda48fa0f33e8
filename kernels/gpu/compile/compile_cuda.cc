// Compiles one CUDA source to a cubin by NVRTC, which is loaded when it runs: no nvcc, and nothing
// of the vendor's to build with. Headers are read below a root; <cstdint> has a stand-in.
//   compile_cuda LIBNVRTC ROOT ARCHITECTURE SOURCE CUBIN [-lineinfo]
#include <dlfcn.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr const char* kCstdint = R"(#pragma once
using int8_t = signed char;
using int16_t = short;
using int32_t = int;
using int64_t = long;
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned;
using uint64_t = unsigned long;
)";

// The functions of NVRTC that are called here; their C interface is the same in every 12.x.
struct Nvrtc {
  using Program = void*;
  int (*create)(Program*, const char* source, const char* name, int headers,
                const char* const* texts, const char* const* names);
  int (*compile)(Program, int options, const char* const* values);
  int (*log_bytes)(Program, size_t*);
  int (*log)(Program, char*);
  int (*cubin_bytes)(Program, size_t*);
  int (*cubin)(Program, char*);
  const char* (*error_text)(int);
};

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw std::runtime_error(dlerror());
}

Nvrtc load_nvrtc(const std::string& file) {
  void* library = dlopen(file.c_str(), RTLD_NOW);
  if (!library) throw std::runtime_error(dlerror());
  Nvrtc nvrtc;
  find(library, "nvrtcCreateProgram", nvrtc.create);
  find(library, "nvrtcCompileProgram", nvrtc.compile);
  find(library, "nvrtcGetProgramLogSize", nvrtc.log_bytes);
  find(library, "nvrtcGetProgramLog", nvrtc.log);
  find(library, "nvrtcGetCUBINSize", nvrtc.cubin_bytes);
  find(library, "nvrtcGetCUBIN", nvrtc.cubin);
  find(library, "nvrtcGetErrorString", nvrtc.error_text);
  return nvrtc;
}

void check(const Nvrtc& nvrtc, int result) {
  if (result) throw std::runtime_error(nvrtc.error_text(result));
}

std::string text_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The compiler's words about the source. That chips older than sm_75 are leaving is not about it.
std::string log_of(const Nvrtc& nvrtc, Nvrtc::Program program) {
  size_t bytes = 0;
  check(nvrtc, nvrtc.log_bytes(program, &bytes));
  std::string log(bytes, '\0');
  check(nvrtc, nvrtc.log(program, log.data()));
  std::istringstream lines(log.c_str());
  std::string said;
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line.find("deprecated and may be removed") == std::string::npos)
      said += line + "\n";
  return said;
}

// Without contraction an expression has the bits that the emulator and HIP's code give it; fma()
// is written where it is meant.
std::string cubin_of(const Nvrtc& nvrtc, const std::string& root, const std::string& architecture,
                     const std::string& source, bool with_lines) {
  const char* header_texts[] = {kCstdint};
  const char* header_names[] = {"cstdint"};
  Nvrtc::Program program = nullptr;
  check(nvrtc, nvrtc.create(&program, text_of(source).c_str(), source.c_str(), 1, header_texts,
                            header_names));
  const std::string arch = "-arch=" + architecture, include = "-I" + root;
  std::vector<const char*> options = {arch.c_str(), include.c_str(), "-std=c++20", "-fmad=false",
                                      "-default-device"};
  if (with_lines) options.push_back("-lineinfo");
  const int result = nvrtc.compile(program, static_cast<int>(options.size()), options.data());
  const std::string log = log_of(nvrtc, program);
  // NVRTC has no option that turns warnings into errors.
  if (result || !log.empty()) throw std::runtime_error(architecture + ":\n" + log);
  size_t bytes = 0;
  check(nvrtc, nvrtc.cubin_bytes(program, &bytes));
  std::string cubin(bytes, '\0');
  check(nvrtc, nvrtc.cubin(program, cubin.data()));
  return cubin;
}

}  // namespace

int main(int count, char** arguments) {
  const bool with_lines = count == 7 && std::string(arguments[6]) == "-lineinfo";
  if (count != 6 && !with_lines) {
    std::fputs("usage: compile_cuda LIBNVRTC ROOT ARCHITECTURE SOURCE CUBIN [-lineinfo]\n", stderr);
    return 2;
  }
  try {
    const Nvrtc nvrtc = load_nvrtc(arguments[1]);
    const std::string cubin = cubin_of(nvrtc, arguments[2], arguments[3], arguments[4], with_lines);
    std::ofstream out(arguments[5], std::ios::binary);
    if (!out.write(cubin.data(), static_cast<std::streamsize>(cubin.size())).flush())
      throw std::runtime_error(std::string("cannot write ") + arguments[5]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compile_cuda: %s\n", error.what());
    return 1;
  }
  return 0;
}
