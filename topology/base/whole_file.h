// Files that are written whole or not at all: whoever looks finds the old text or the new one.
#pragma once

#include <string>

namespace potluck {

// Puts the text in place of what the path names, and keeps the mode of a file that was there; a
// link still leads where it led. What is no regular file (a pipe, /dev/stdout) is written as it is.
// Throws Fault{world}, where = the path; the file is as it was then.
void write_whole_file(const std::string& path, const std::string& text);

}  // namespace potluck
