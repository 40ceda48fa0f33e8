// Who is let in, who is not, and what is said to him.
#include "coordinator/membership/guest_book.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "topology/base/fault.h"
#include "transport/proof/join_token.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNow = 1'000'000, kDay = 24 * 3600;
const std::string kTokenSecret(kTokenSecretBytes, 's'), kOther(kTokenSecretBytes, 't');

Guest guest(char letter, const std::string& name = "laptop") {
  return {std::string(64, letter), name, kNow, false};
}

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "let in";
}

class GuestBooks : public testing::Test {
 protected:
  GuestBooks() {
    add_token(book_, {token_hash(kTokenSecret), kNow, kNow + kDay, 2, {}, false}, kNow);
  }

  std::string ask(char letter, int64_t now = kNow, const std::string& secret = kTokenSecret) {
    return refusal([&] { admit_by_token(book_, secret, guest(letter), now); });
  }

  GuestBook book_;
};

TEST_F(GuestBooks, ATokenAdmitsAsManyMachinesAsItMay) {
  EXPECT_EQ(ask('a'), "let in");
  EXPECT_EQ(ask('b'), "let in");
  EXPECT_NE(ask('c').find("all the machines"), std::string::npos);
  EXPECT_TRUE(is_admitted(book_, guest('a').key));
  EXPECT_FALSE(is_admitted(book_, guest('c').key));
}

TEST_F(GuestBooks, AMachineThatItHasAdmittedMayComeAgain) {
  ask('a');
  ask('b');
  EXPECT_EQ(ask('a', kNow + 2 * kDay), "let in");
  EXPECT_EQ(book_.guests.size(), 2u);
}

TEST_F(GuestBooks, AMachineThatComesTwiceTakesOnePlace) {
  ask('a');
  ask('a');
  EXPECT_EQ(ask('b'), "let in");
}

TEST_F(GuestBooks, ATokenExpires) {
  EXPECT_EQ(ask('a', kNow + kDay - 1), "let in");
  EXPECT_NE(ask('b', kNow + kDay).find("has expired"), std::string::npos);
}

TEST_F(GuestBooks, AnotherSecretIsNobodys) {
  EXPECT_NE(ask('a', kNow, kOther).find("does not know the token"), std::string::npos);
}

TEST_F(GuestBooks, ARevokedTokenAdmitsNobodyAndShutsNobodyOut) {
  ask('a');
  EXPECT_TRUE(revoke(book_, token_id(token_hash(kTokenSecret))).empty());
  EXPECT_NE(ask('b').find("was revoked"), std::string::npos);
  EXPECT_NE(ask('a').find("was revoked"), std::string::npos);
  EXPECT_TRUE(is_admitted(book_, guest('a').key));
}

TEST_F(GuestBooks, AMachineThatIsShutOutStaysOutWhateverItBrings) {
  ask('a');
  EXPECT_EQ(revoke(book_, "laptop"), std::vector<std::string>{guest('a').key});
  EXPECT_FALSE(is_admitted(book_, guest('a').key));
  EXPECT_NE(ask('a').find("shut this machine out"), std::string::npos);
  EXPECT_NE(refusal([&] { admit(book_, guest('a')); }).find("shut this machine out"),
            std::string::npos);
  EXPECT_FALSE(is_admitted(book_, guest('a').key));
  EXPECT_EQ(ask('b'), "let in");
}

TEST_F(GuestBooks, WhatIsNotThereCannotBeRevoked) {
  EXPECT_NE(refusal([&] { revoke(book_, "nobody"); }).find("no token and no machine \"nobody\""),
            std::string::npos);
}

TEST_F(GuestBooks, TokensThatAreOverMakeRoomForNewOnes) {
  for (size_t i = 1; i < kTokensMax; ++i)
    add_token(book_, {std::string(64, 'x'), kNow, kNow + 2 * kDay, 0, {}, false}, kNow);
  const auto another = [&](int64_t now) {
    return refusal([&] { add_token(book_, {kOther, now, now + kDay, 0, {}, false}, now); });
  };
  EXPECT_NE(another(kNow).find("1000 tokens"), std::string::npos);
  EXPECT_EQ(another(kNow + kDay), "let in");
  EXPECT_EQ(book_.tokens.size(), kTokensMax);
  EXPECT_NE(ask('a').find("does not know"), std::string::npos);
}

TEST_F(GuestBooks, ComeBackFromTheirText) {
  ask('a');
  admit(book_, guest('b', "nas \xff\n"));
  revoke(book_, guest('b').key);
  const GuestBook back = guest_book_of(text_of(book_), "guests.json");
  EXPECT_EQ(text_of(back), text_of(guest_book_of(text_of(back), "guests.json")));
  EXPECT_TRUE(is_admitted(back, guest('a').key));
  EXPECT_FALSE(is_admitted(back, guest('b').key));
  EXPECT_NE(refusal([&] { check_not_revoked(back, guest('b').key); }), "let in");
  EXPECT_EQ(back.tokens.at(0).hosts, book_.tokens.at(0).hosts);
  EXPECT_EQ(text_of(book_).find(kTokenSecret), std::string::npos);
}

TEST_F(GuestBooks, DamagedTextsAreRefused) {
  for (const char* text : {"", "{", "[]", "{\"version\":1}", "{\"version\":1,\"tokens\":3}",
                           "{\"version\":1,\"tokens\":[{}],\"guests\":[]}"})
    EXPECT_NE(refusal([&] { guest_book_of(text, "g.json"); }).find("g.json is damaged"),
              std::string::npos)
        << text;
  EXPECT_NE(refusal([&] {
              guest_book_of("{\"version\":2,\"tokens\":[],\"guests\":[]}", "g.json");
            }).find("another version"),
            std::string::npos);
}

class PrivateFiles : public testing::Test {
 protected:
  ~PrivateFiles() override { fs::remove_all(root_); }
  void append(const std::string& words) {
    file_.change([&](const std::optional<std::string>& text) { return text.value_or("") + words; });
  }

  const fs::path root_ = fs::temp_directory_path() / ("private_file_" + std::to_string(getpid()));
  const PrivateFile file_{(root_ / "state/potluck").string(), "f"};
};

TEST_F(PrivateFiles, AreTheirOwnersAlone) {
  EXPECT_EQ(file_.read(), std::nullopt);
  append("a");
  append("b");
  EXPECT_EQ(file_.read(), "ab");
  struct stat status {};
  ASSERT_EQ(stat(file_.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_EQ(stat((root_ / "state/potluck").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  fs::permissions(file_.path(), fs::perms::others_read, fs::perm_options::add);
  EXPECT_NE(refusal([&] { file_.read(); }).find("can be read by others; chmod 600 it"),
            std::string::npos);
}

TEST_F(PrivateFiles, NoChangeOfTwoAtOnceIsLost) {
  const auto many = [&] {
    for (int i = 0; i < 50; ++i) append("x");
  };
  std::thread other(many);
  many();
  other.join();
  EXPECT_EQ(file_.read().value().size(), 100u);
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "state/potluck"), {}), 1);
}

TEST_F(PrivateFiles, AnEditThatFailsChangesNothing) {
  append("a");
  EXPECT_NE(refusal([&] {
              file_.change([](const auto&) -> std::string { throw Fault(FaultKind::input, "no"); });
            }),
            "let in");
  EXPECT_EQ(file_.read(), "a");
  file_.remove();
  file_.remove();
  EXPECT_EQ(file_.read(), std::nullopt);
}

TEST_F(PrivateFiles, WithoutAPlaceThatIsSaid) {
  EXPECT_NE(refusal([] {
              PrivateFile("", "f").change([](const auto&) { return std::string(); });
            }).find("no place"),
            std::string::npos);
}

}  // namespace
}  // namespace potluck
