// Asks a hub what a repository holds, and reads ranges of its files.
#include "topology/hub/hub_files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/hub/checksum.h"
#include "topology/hub/local_files.h"
#include "topology/model/gguf.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

constexpr uint64_t kListingBytesMax = 64 << 20;
constexpr int kPagesMax = 1000;  // of a listing; the hub puts some 1,000 files on each

bool is_hex(const std::string& text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// A path that stays within the folder.
bool is_inside(const std::string& path) {
  const std::filesystem::path parts(path);
  return !path.empty() && parts.is_relative() && path.find('\\') == std::string::npos &&
         std::none_of(parts.begin(), parts.end(), [](const std::filesystem::path& part) {
           return part.empty() || part == "." || part == "..";
         });
}

Duration retry_after(const HttpReply& reply) {
  return std::chrono::seconds(std::clamp(std::atoi(reply.header("retry-after").c_str()), 0, 86400));
}

// An answer after which another try may help.
bool is_passing(const HttpReply& reply) {
  return reply.status == 0 || reply.status == 408 || reply.status == 429 || reply.status >= 500;
}

ReadEnd passing_end(const HttpReply& reply) {
  if (reply.status == 429) return {"too many requests (status 429)", retry_after(reply)};
  if (reply.status)
    return {"the answer has status " + std::to_string(reply.status), retry_after(reply)};
  return {reply.broken, {}};
}

[[noreturn]] void refuse_status(const HttpReply& reply, const std::string& what,
                                const HubPlace& place) {
  const std::string status = " (status " + std::to_string(reply.status) + ")";
  if (reply.status == 401 || reply.status == 403)
    throw Fault(FaultKind::input, what + " is not for everybody, or is not there" + status,
                Fix{place.token.empty()
                        ? "accept its terms in a browser and set HF_TOKEN, or mend the name"
                        : "accept its terms in a browser with the account of HF_TOKEN, or mend "
                          "the name"});
  if (reply.status == 404)
    throw Fault(FaultKind::input, place.endpoint + " has no " + what + status,
                Fix{"mend the name, or look for it in a browser"});
  throw Fault(FaultKind::input,
              what + ": " + reply.url + " answers with status " + std::to_string(reply.status),
              Fix{"is this the address of a hub (HF_ENDPOINT)?"});
}

struct Page {
  nlohmann::json root;
  std::string next;  // the URL of the page that follows; empty: it is the last
};

// "<URL>; rel="next"" of a Link header.
std::string next_page(const std::string& link) {
  const size_t rel = link.find("rel=\"next\"");
  if (rel == std::string::npos) return "";
  const size_t end = link.rfind('>', rel), begin = link.rfind('<', rel);
  return end == std::string::npos || begin == std::string::npos || end < begin
             ? ""
             : link.substr(begin + 1, end - begin - 1);
}

class Listing {
 public:
  Listing(Http& http, const HubPlace& place, const HfName& name, const FetchWatch& watch)
      : http_(http), place_(place), name_(name), watch_(watch) {}

  HubListing read() {
    const std::string base = place_.endpoint + "/api/models/" + name_.repository;
    const Page branch = page(base + "/revision/main");
    const JsonFields info(branch.root, base);
    HubListing listing;
    listing.commit = info.text("sha");
    if (!is_hex(listing.commit, kSha1Digits))
      info.refuse("\"sha\" is " + json_excerpt(listing.commit) + ", which is no commit", kNoHub);
    std::string url = base + "/tree/" + listing.commit + "?recursive=true";
    for (int pages = 0; !url.empty(); ++pages) {
      if (pages == kPagesMax || origin_of(url) != origin_of(place_.endpoint))
        info.refuse("the list of files has no end", kNoHub);
      Page part = page(url);
      add_files(part.root, url, listing.files);
      url = std::move(part.next);
    }
    return listing;
  }

 private:
  static constexpr char kNoHub[] = "is this the address of a hub (HF_ENDPOINT)?";

  Page page(const std::string& url) {
    Tries tries(watch_, url);
    for (;;) {
      std::string text;
      const HttpReply reply = http_.get(url, std::nullopt, [&](std::span<const std::byte> bytes) {
        if (text.size() + bytes.size() > kListingBytesMax)
          throw Fault(FaultKind::input,
                      url + " sends more than " + bytes_text(kListingBytesMax) + " of JSON",
                      Fix{kNoHub});
        for (const std::byte byte : bytes) text.push_back(std::to_integer<char>(byte));
      });
      if (reply.ok() && reply.broken.empty())
        return {parse_json(text, url), next_page(reply.header("link"))};
      if (!reply.ok() && !is_passing(reply)) refuse_status(reply, "hf:" + name_.repository, place_);
      tries.failed(reply.ok() ? ReadEnd{reply.broken, {}} : passing_end(reply));
    }
  }

  static void add_files(const nlohmann::json& entries, const std::string& url,
                        std::vector<ModelFile>& files) {
    if (!entries.is_array())
      throw Fault(FaultKind::input, url + " is no list of files", Fix{kNoHub});
    for (const nlohmann::json& entry : entries) {
      const JsonFields fields(entry, url);
      if (fields.text("type") != "file") continue;
      files.push_back(file_of(fields));
    }
  }

  // A large file is named by the SHA-256 of its contents, a small one by git.
  static ModelFile file_of(const JsonFields& fields) {
    ModelFile file{fields.text("path"), 0, fields.text("oid")};
    file.bytes = size_of(fields);
    size_t digits = kSha1Digits;
    if (fields.has("lfs")) {
      const JsonFields large = fields.object("lfs");
      file.checksum = large.text("oid");
      file.bytes = size_of(large);
      digits = kSha256Digits;
    }
    if (!is_hex(file.checksum, digits))
      fields.refuse("\"" + file.name + "\" has the checksum " + json_excerpt(file.checksum),
                    kNoHub);
    if (!is_inside(file.name))
      fields.refuse("\"" + file.name + "\" leads out of the repository", kNoHub);
    return file;
  }

  static uint64_t size_of(const JsonFields& fields) {
    const nlohmann::json& size = fields.at("size");
    if (!size.is_number_unsigned())
      fields.refuse("\"size\" is " + json_excerpt(size) + ", not a number of bytes", kNoHub);
    return size.get<uint64_t>();
  }

  Http& http_;
  const HubPlace& place_;
  const HfName& name_;
  const FetchWatch& watch_;
};

std::vector<std::string> names_of(const HubListing& listing) {
  std::vector<std::string> names;
  for (const ModelFile& file : listing.files) names.push_back(file.name);
  return names;
}

std::vector<ModelFile> files_named(const HubListing& listing, const std::vector<std::string>& names,
                                   const HfName& name) {
  std::vector<ModelFile> files;
  for (const std::string& wanted : names) {
    const auto found = std::find_if(listing.files.begin(), listing.files.end(),
                                    [&](const ModelFile& file) { return file.name == wanted; });
    if (found == listing.files.end())
      throw Fault(FaultKind::input, "hf:" + name.repository + " lacks " + wanted,
                  Fix{"take another quantization or repository"});
    files.push_back(*found);
  }
  return files;
}

}  // namespace

HubPlace hub_place(const std::string& endpoint, const std::string& token) {
  if (!endpoint.starts_with("https://") && !endpoint.starts_with("http://"))
    throw Fault(FaultKind::input, "HF_ENDPOINT is " + endpoint + ", which is no address",
                Fix{"set it to one like https://huggingface.co, or unset it"});
  if (token.find_first_of(" \t\r\n") != std::string::npos)
    throw Fault(FaultKind::input, "HF_TOKEN holds a space or a line break",
                Fix{"set it to the token alone"});
  return {endpoint, token};
}

HubListing list_hub(Http& http, const HubPlace& place, const HfName& name,
                    const FetchWatch& watch) {
  return Listing(http, place, name, watch).read();
}

HubChoice choose_files(const HubListing& listing, const HfName& name) {
  const std::vector<std::string> names = names_of(listing);
  const GgufNames ggufs = sort_gguf_names(names);
  const std::vector<std::string> order = in_order(ggufs.fit, name);
  if (!order.empty())
    return {files_named(listing, gguf_part_names(order[0]), name),
            took(order[0], name, "at the hub")};
  const std::vector<std::string> checkpoint = checkpoint_names(names);
  const bool whole = std::count(checkpoint.begin(), checkpoint.end(), "config.json") &&
                     std::any_of(checkpoint.begin(), checkpoint.end(), [](const std::string& file) {
                       return file.ends_with(".safetensors");
                     });
  if (name.quant.empty() && whole)
    return {files_named(listing, checkpoint, name), "took the safetensors"};
  std::string there;
  for (const std::string& file : ggufs.fit) add_to_list(there, file);
  for (const std::string& file : ggufs.beside) add_to_list(there, file);
  throw Fault(FaultKind::input,
              "hf:" + name.text() + ": the repository has no such model" +
                  (there.empty() ? "" : " (it has " + there + ")"),
              Fix{"name one that is there as hf:OWNER/REPO:QUANT"});
}

HubFiles::HubFiles(Http& http, const HubPlace& place, const HfName& name, const std::string& commit,
                   std::vector<ModelFile> files)
    : http_(http), place_(place), name_(name), commit_(commit), files_(std::move(files)) {}

std::string HubFiles::url_of(size_t file) const {
  return place_.endpoint + "/" + name_.repository + "/resolve/" + commit_ + "/" +
         url_path(files_[file].name);
}

// The hub sends on to a place that signs for a while. Once that is over the hub is asked anew.
ReadEnd HubFiles::read(size_t file, ByteRange range, const ByteSink& sink) {
  const auto known = found_at_.find(file);
  const bool at_hub = known == found_at_.end();
  const HttpReply reply = http_.get(at_hub ? url_of(file) : known->second, range, sink);
  if (reply.ok()) {
    found_at_[file] = reply.url;
    return {reply.broken, {}};
  }
  found_at_.erase(file);
  if (is_passing(reply)) return passing_end(reply);
  if (!at_hub) return {"status " + std::to_string(reply.status), {}};
  refuse_status(reply, name() + "/" + files_[file].name, place_);
}

}  // namespace potluck
