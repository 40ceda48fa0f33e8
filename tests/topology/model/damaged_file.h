// A real file, damaged one way at a time: it is refused by a line that names the file, and nothing
// crashes.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

#include "tests/topology/model/temp_folder.h"
#include "tests/topology/model/tiny_model.h"
#include "topology/base/fault.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {

using Bytes = std::string;

class DamagedFile : public testing::Test {
 protected:
  // The refusal of a GGUF with these bytes; "" if it was opened.
  std::string gguf(const Bytes& bytes) const {
    return refusal([path = folder_.write("bad.gguf", bytes)] { open_model(path); });
  }

  std::string safetensors(const Bytes& model, const Bytes& config) const {
    folder_.write("model.safetensors", model);
    folder_.write("config.json", config);
    return refusal([this] { open_model(folder_.path()); });
  }

  static std::string refusal(const std::function<void()>& read) {
    try {
      read();
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input) << fault.what();
      EXPECT_NE(std::string(fault.what()).find("potluck-"), std::string::npos)
          << "no file is named: " << fault.what();
      std::printf("%s\n", fault.what());
      return fault.what();
    }
    return "";
  }

  static void expect(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
  }

  static Bytes replaced(Bytes bytes, const std::string& from, const std::string& to) {
    const size_t at = bytes.find(from);
    EXPECT_NE(at, Bytes::npos) << from;
    return at == Bytes::npos ? bytes : bytes.replace(at, from.size(), to);
  }

  static Bytes with_number(Bytes bytes, size_t at, uint64_t value) {
    std::memcpy(bytes.data() + at, &value, sizeof(value));
    return bytes;
  }

  // Absurdly deep.
  static Bytes nested(const std::string& opening) {
    Bytes deep;
    for (int i = 0; i < 100'000; ++i) deep += opening;
    return deep;
  }

  // Each of the file's first `count` bytes, with all bits flipped and then one: `model` is opened,
  // and then wholly readable, or refused. Returns how often it was opened.
  static int flip_all(const std::string& file, const Bytes& bytes, size_t count,
                      const std::string& model) {
    const int descriptor = open(file.c_str(), O_WRONLY);
    int opened = 0;
    for (size_t at = 0; at < count; ++at)
      for (int mask : {0xFF, 1 << at % 8, 0}) {
        const char byte = static_cast<char>(bytes[at] ^ mask);
        EXPECT_EQ(pwrite(descriptor, &byte, 1, static_cast<off_t>(at)), 1);
        if (mask) opened += survives(model);
      }
    close(descriptor);
    return opened;
  }

  static bool survives(const std::string& model) {
    try {
      touch(*open_model(model));
      return true;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input) << fault.what();
      return false;
    }
  }

  TempFolder folder_;
  const Bytes good_ = read_bytes(POTLUCK_GOLDEN "/nano/model-bf16.gguf");
  const Bytes good_st_ = read_bytes(POTLUCK_GOLDEN "/nano/model.safetensors");
  const Bytes config_ = read_bytes(POTLUCK_GOLDEN "/nano/config.json");
};

}  // namespace potluck
