// Draws words from a keyed hash of a meeting (BLAKE2b by libsodium).
#include "transport/proof/six_words.h"

#include <sodium.h>

#include <array>

#include "topology/base/check.h"
#include "topology/base/key.h"

namespace potluck {
namespace {

// A byte of the hash each, so that a word says 8 bits. They are things that one can see or touch,
// and no two are written nearly alike.
constexpr std::array<const char*, 256> kWordList = {
    "acorn",   "alley",   "amber",   "anchor",   "ankle",    "apple",    "apron",  "arrow",
    "aspen",   "attic",   "autumn",  "bacon",    "badge",    "bagel",    "bamboo", "banjo",
    "barley",  "barn",    "basil",   "basket",   "beach",    "beaver",   "beetle", "bench",
    "berry",   "blanket", "blossom", "boat",     "bonfire",  "boot",     "bottle", "breeze",
    "brick",   "bridge",  "broom",   "bucket",   "butter",   "cabin",    "cactus", "camel",
    "candle",  "canoe",   "canyon",  "carrot",   "castle",   "cedar",    "cellar", "cherry",
    "chess",   "chimney", "cider",   "cinnamon", "cliff",    "clover",   "coal",   "cobra",
    "coconut", "coffee",  "comet",   "compass",  "copper",   "coral",    "cotton", "cradle",
    "crane",   "cricket", "crown",   "cup",      "daisy",    "dawn",     "deer",   "desert",
    "diamond", "dolphin", "donkey",  "door",     "dragon",   "drum",     "duck",   "dusk",
    "eagle",   "echo",    "elbow",   "ember",    "engine",   "envelope", "fabric", "falcon",
    "feather", "fence",   "fern",    "ferry",    "fiddle",   "finger",   "flag",   "flute",
    "fog",     "forest",  "fossil",  "fountain", "fox",      "frost",    "garden", "garlic",
    "gate",    "geyser",  "ginger",  "giraffe",  "glacier",  "globe",    "glove",  "goat",
    "gold",    "goose",   "granite", "grape",    "gravel",   "guitar",   "hammer", "hammock",
    "harbor",  "harp",    "hazel",   "hedge",    "helmet",   "heron",    "hill",   "honey",
    "hood",    "horse",   "ice",     "igloo",    "indigo",   "ink",      "iron",   "island",
    "ivory",   "ivy",     "jacket",  "jaguar",   "jar",      "jewel",    "jungle", "juniper",
    "kayak",   "kettle",  "kitchen", "kite",     "kiwi",     "knot",     "ladder", "lagoon",
    "lake",    "lamp",    "lantern", "lava",     "leather",  "lemon",    "lentil", "lily",
    "linen",   "lion",    "lizard",  "llama",    "lobster",  "locket",   "lotus",  "magnet",
    "mango",   "maple",   "marble",  "market",   "meadow",   "melon",    "meteor", "mint",
    "mirror",  "mitten",  "moon",    "moss",     "mountain", "mouse",    "mural",  "mustard",
    "napkin",  "needle",  "nest",    "nickel",   "noodle",   "nutmeg",   "oak",    "oar",
    "oasis",   "ocean",   "olive",   "onion",    "opal",     "orange",   "orchid", "otter",
    "oven",    "owl",     "oyster",  "paddle",   "panda",    "paper",    "parrot", "pasta",
    "peach",   "pearl",   "pebble",  "pencil",   "penguin",  "pepper",   "piano",  "pickle",
    "pigeon",  "pillow",  "pine",    "planet",   "plum",     "pocket",   "pony",   "poppy",
    "potato",  "prism",   "pumpkin", "puzzle",   "quail",    "quartz",   "quilt",  "rabbit",
    "radish",  "raft",    "rain",    "raven",    "reef",     "ribbon",   "river",  "robin",
    "rocket",  "rope",    "ruby",    "saddle",   "sage",     "sail",     "salmon", "scarf",
    "shell",   "silver",  "spoon",   "tiger",    "tulip",    "turtle",   "violin", "walnut"};

// All parts have a fixed length, so that no two meetings have one text.
std::string hash_of(const std::string& purpose, const WordMeeting& meeting,
                    const std::string& joiner_nonce) {
  CHECK(is_key(meeting.coordinator_key) && is_key(meeting.joiner_key));
  CHECK(meeting.coordinator_nonce.size() == kWordNonceBytes, meeting.coordinator_nonce.size());
  const std::string text = purpose + meeting.coordinator_key + meeting.joiner_key +
                           meeting.coordinator_nonce + joiner_nonce;
  std::string hash(crypto_generichash_BYTES, '\0');
  CHECK(crypto_generichash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(),
                           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                           nullptr, 0) == 0);
  return hash;
}

}  // namespace

std::string word_commitment(const WordMeeting& meeting) {
  return hash_of("potluck commits", meeting, "");
}

std::string six_words(const WordMeeting& meeting) {
  CHECK(meeting.joiner_nonce.size() == kWordNonceBytes, meeting.joiner_nonce.size());
  const std::string hash = hash_of("potluck's words", meeting, meeting.joiner_nonce);
  std::string words;
  for (int i = 0; i < kWords; ++i) {
    if (i > 0) words += ' ';
    words += kWordList[static_cast<unsigned char>(hash[i])];
  }
  return words;
}

}  // namespace potluck
