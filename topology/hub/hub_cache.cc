// Fetches files into blobs/CHECKSUM.incomplete, checks and renames them, and links them.
#include "topology/hub/hub_cache.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "topology/base/fault.h"
#include "topology/hub/checksum.h"
#include "topology/hub/file_writer.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr Duration kLockLook = std::chrono::milliseconds(200);

fs::path repository(const CachePlace& place) {
  return fs::path(place.hub) / hf_folder(place.name);
}

fs::path blob_path(const CachePlace& place, const ModelFile& file) {
  return repository(place) / "blobs" / file.checksum;
}

fs::path incomplete_path(const CachePlace& place, const ModelFile& file) {
  return blob_path(place, file).string() + ".incomplete";
}

uint64_t size_of(const fs::path& path) {
  std::error_code none;
  const uint64_t bytes = fs::file_size(path, none);
  return none ? 0 : bytes;
}

bool is_whole(const CachePlace& place, const ModelFile& file) {
  std::error_code none;
  return fs::exists(blob_path(place, file), none) && size_of(blob_path(place, file)) == file.bytes;
}

void check_written(const std::error_code& error, const fs::path& path) {
  if (error)
    throw Fault(FaultKind::world, "cannot write " + path.string() + ": " + error.message());
}

// Other programs that fill the cache take the same lock.
void wait_for_lock(FileWriter& lock, const ModelFile& file, const FetchWatch& watch) {
  for (bool said = false; !lock.try_lock(); said = true) {
    if (!said) watch.note("another program is fetching " + file.name + "; waiting for it");
    check_not_stopped(watch);
    std::this_thread::sleep_for(kLockLook);
  }
}

// Brings `to` up to its full length; what it had already counts.
std::string fetch_rest(ModelFiles& from, size_t index, FileWriter& to, const FetchWatch& watch) {
  const ModelFile& file = from.files()[index];
  if (to.size() > file.bytes) to.resize(0);
  const auto kind =
      file.checksum.size() == kSha256Digits ? ChecksumKind::sha256 : ChecksumKind::git_sha1;
  Checksum checksum(kind, file.bytes);
  uint64_t at = to.size();
  to.read(0, at, [&](std::span<const std::byte> bytes) {
    check_not_stopped(watch);
    checksum.add(bytes);
  });
  fetch_range(from, index, {at, file.bytes - at}, watch, [&](std::span<const std::byte> bytes) {
    to.write(at, bytes);
    at += bytes.size();
    checksum.add(bytes);
  });
  return checksum.text();
}

// A file with a wrong byte is worth nothing, for nobody knows which: it is removed.
void fetch_blob(ModelFiles& from, size_t index, const CachePlace& place, const FetchWatch& watch) {
  const ModelFile& file = from.files()[index];
  FileWriter lock(
      (fs::path(place.hub) / ".locks" / hf_folder(place.name) / (file.checksum + ".lock"))
          .string());
  wait_for_lock(lock, file, watch);
  if (is_whole(place, file)) return;
  const fs::path incomplete = incomplete_path(place, file);
  FileWriter to(incomplete.string());
  const std::string found = fetch_rest(from, index, to, watch);
  std::error_code error;
  if (found != file.checksum) {
    fs::remove(incomplete, error);
    throw Fault(FaultKind::world,
                file.name + " has the checksum " + found + ", " + from.name() + " says " +
                    file.checksum + ": a byte changed on the way or on this disk",
                Fix{"give the same command again: it fetches this file anew"});
  }
  to.sync();
  fs::rename(incomplete, blob_path(place, file), error);
  check_written(error, blob_path(place, file));
}

void link_file(const CachePlace& place, const ModelFile& file) {
  const fs::path link = repository(place) / "snapshots" / place.commit / file.name;
  std::error_code error;
  fs::create_directories(link.parent_path(), error);
  const fs::path target = fs::relative(blob_path(place, file), link.parent_path(), error);
  if (fs::read_symlink(link, error) == target) return;
  fs::remove(link, error);
  fs::create_symlink(target, link, error);
  check_written(error, link);
}

// Whoever reads the branch finds the old commit or the new one.
void write_branch(const CachePlace& place) {
  const fs::path branch = repository(place) / "refs" / "main";
  const fs::path fresh = branch.string() + ".potluck";
  std::error_code error;
  fs::create_directories(branch.parent_path(), error);
  std::ofstream(fresh) << place.commit;
  fs::rename(fresh, branch, error);
  check_written(error, branch);
}

// The bytes of these files that are not in the cache yet.
uint64_t missing_bytes(const CachePlace& place, const std::vector<ModelFile>& files) {
  uint64_t bytes = 0;
  for (const ModelFile& file : files) {
    if (is_whole(place, file)) continue;
    const uint64_t here = size_of(incomplete_path(place, file));
    bytes += file.bytes - (here <= file.bytes ? here : 0);
  }
  return bytes;
}

}  // namespace

void fetch_to_cache(ModelFiles& from, const CachePlace& place, const FetchWatch& watch) {
  const uint64_t missing = missing_bytes(place, from.files());
  check_disk(place.hub, missing);
  watch.expected(missing);
  for (size_t i = 0; i < from.files().size(); ++i) {
    if (!is_whole(place, from.files()[i])) fetch_blob(from, i, place, watch);
    link_file(place, from.files()[i]);
  }
  write_branch(place);
}

}  // namespace potluck
