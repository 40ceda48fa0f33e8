// A machine is let in by a token, by its key, or by six words that two people compare; an impostor
// gets nothing.
#include "coordinator/membership/admission.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "coordinator/membership/be_let_in.h"
#include "topology/base/fault.h"
#include "topology/base/version.h"
#include "topology/base/wall_clock.h"
#include "transport/proof/hex.h"
#include "transport/proof/join_token.h"
#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const std::string kCluster(64, 'c'), kLaptop(64, 'a'), kRogue(64, 'b');
const std::string kSecret(kTokenSecretBytes, 's');

class Admissions : public testing::Test {
 protected:
  ~Admissions() override { fs::remove_all(folder_); }

  void make_token(int hosts = 0) {
    const int64_t now = unix_seconds();
    change_guest_book(book_, [&](GuestBook& book) {
      add_token(book, {token_hash(kSecret), now, now + 3600, hosts, {}, false}, now);
    });
  }

  AskCoordinator link_of(const std::string& key) {
    return [this, key](const std::string& verb, const Json& body) {
      if (verb == kAskToJoinVerb) return admission_.ask(key, body, time_);
      if (verb == kNumberVerb) return admission_.number(key, body, time_);
      return admission_.wait(key, time_);
    };
  }

  Entry entry(const std::string& key = kLaptop) {
    return {"laptop", key, kCluster, std::nullopt, false, [this](const std::string& words) {
              shown_ = words;
              return yes_here_;
            }};
  }

  // Whether it is let in, the person at the coordinator doing `there` whenever it has to wait.
  std::string enter(
      const Entry& entry, const std::function<void()>& there = [] {}) {
    return enter(entry, link_of(entry.own_key), there);
  }
  std::string enter(const Entry& entry, const AskCoordinator& link,
                    const std::function<void()>& there) {
    int waits = 0;
    try {
      be_let_in(entry, link, [&] {
        there();
        if (++waits == 100) throw Fault(FaultKind::lost, "it waits for ever");
      });
    } catch (const Fault& fault) {
      return fault.what();
    }
    return "let in";
  }

  void say_yes() { admission_.answer(admission_.waiting(time_).at(0).key, true, time_); }

  const fs::path folder_ = fs::temp_directory_path() / ("admission_" + std::to_string(getpid()));
  const PrivateFile book_ = guest_book_file(folder_.string());
  std::string said_, shown_;
  bool yes_here_ = true;
  Time time_;
  Admission admission_{kCluster, book_, [this](const std::string& line) { said_ += line + "\n"; }};
};

TEST_F(Admissions, ATokenLetsAMachineInAndItsKeyDoesFromThenOn) {
  make_token(1);
  Entry laptop = entry();
  laptop.knows_cluster = true;
  laptop.secret = kSecret;
  EXPECT_EQ(enter(laptop), "let in");
  laptop.secret.reset();
  EXPECT_EQ(enter(laptop), "let in");
  Entry another = entry(kRogue);
  another.knows_cluster = true;
  another.secret = kSecret;
  EXPECT_NE(enter(another).find("all the machines"), std::string::npos);
  EXPECT_FALSE(admission_.is_admitted(kRogue));
  EXPECT_EQ(shown_, "");
}

TEST_F(Admissions, BothScreensShowTheSameWordsAndAYesLetsIn) {
  EXPECT_EQ(enter(entry(),
                  [&] {
                    ASSERT_EQ(admission_.waiting(time_).size(), 1u);
                    EXPECT_EQ(admission_.waiting(time_)[0].words, shown_);
                    EXPECT_NE(said_.find(shown_), std::string::npos);
                    EXPECT_FALSE(admission_.is_admitted(kLaptop));
                    say_yes();
                  }),
            "let in");
  EXPECT_TRUE(admission_.is_admitted(kLaptop));
}

TEST_F(Admissions, AKnownMachineThatForgotTheClusterSeesWordsAgain) {
  change_guest_book(book_, [](GuestBook& book) { admit(book, {kLaptop, "laptop", 0, false}); });
  EXPECT_EQ(enter(entry(), [&] { say_yes(); }), "let in");
  EXPECT_NE(shown_, "");
}

TEST_F(Admissions, ANoAtEitherScreenKeepsOut) {
  EXPECT_NE(enter(entry(), [&] { admission_.answer(kLaptop, false, time_); }).find("said no"),
            std::string::npos);
  yes_here_ = false;
  EXPECT_NE(enter(entry()).find("not the same"), std::string::npos);
  EXPECT_FALSE(admission_.is_admitted(kLaptop));
}

TEST_F(Admissions, WhoeverSaysNothingInTimeIsForgotten) {
  EXPECT_NE(enter(entry(), [&] { time_ += from_seconds(kYesSeconds + 1); }).find("in time"),
            std::string::npos);
  EXPECT_TRUE(admission_.waiting(time_).empty());
}

// He talks to each as if he were the other; both see words, and not the same.
TEST_F(Admissions, SomebodyInBetweenMakesTheWordsDiffer) {
  AskCoordinator real = link_of(kRogue);
  const auto between = [&](const std::string& verb, const Json& body) { return real(verb, body); };
  yes_here_ = false;  // as the person says who compares
  Entry laptop = entry();
  laptop.cluster_key = kRogue;  // whose link it is
  std::string there;
  const std::string end = enter(
      laptop,
      [&](const std::string& verb, const Json& body) {
        const Json answer = between(verb, body);
        if (verb == kNumberVerb) there = admission_.waiting(time_).at(0).words;
        return answer;
      },
      [] {});
  // His relaying does not even hold: the commitment is to another key.
  EXPECT_NE(end.find("somebody may be in between"), std::string::npos);
  EXPECT_NE(there, "");
  EXPECT_EQ(shown_, "");
}

// With meetings of his own he gets as far as words.
TEST_F(Admissions, AnImpostorWhoSaysYesHimselfStillShowsOtherWords) {
  WordMeeting his{kRogue, kLaptop, random_bytes(kWordNonceBytes), ""};
  std::string on_his_screen;
  const AskCoordinator impostor = [&](const std::string& verb, const Json& body) -> Json {
    if (verb == kAskToJoinVerb) return {{"commitment", hex_of(word_commitment(his))}};
    if (verb == kWaitVerb) return {{"admitted", true}};
    his.joiner_nonce = bytes_of_hex(body.at("number")).value();
    const Json real = link_of(kRogue)(
        kAskToJoinVerb, {{"name", "laptop"}, {"software", kSoftware}, {"words", true}});
    link_of(kRogue)(kNumberVerb, {{"number", hex_of(random_bytes(kWordNonceBytes))}});
    on_his_screen = admission_.waiting(time_).at(0).words;
    return {{"number", hex_of(his.coordinator_nonce)}};
  };
  Entry laptop = entry();
  laptop.cluster_key = kRogue;
  laptop.same_words = [&](const std::string& words) { return words == on_his_screen; };
  EXPECT_NE(enter(laptop, impostor, [] {}).find("not the same"), std::string::npos);
}

TEST_F(Admissions, WhoClaimsToBeTheClusterCannotLeaveOutTheWords) {
  const AskCoordinator impostor = [](const std::string&, const Json&) -> Json {
    return {{"admitted", true}};
  };
  EXPECT_NE(enter(entry(), impostor, [] {}), "let in");
}

TEST_F(Admissions, ASecondNumberIsNoSecondGuess) {
  const AskCoordinator link = link_of(kLaptop);
  link(kAskToJoinVerb, {{"name", "laptop"}, {"software", kSoftware}});
  const Json number = {{"number", hex_of(random_bytes(kWordNonceBytes))}};
  link(kNumberVerb, number);
  EXPECT_THROW(link(kNumberVerb, number), Fault);
  EXPECT_TRUE(admission_.waiting(time_).empty());
}

TEST_F(Admissions, AMachineThatWasShutOutGetsNoWords) {
  make_token();
  Entry laptop = entry();
  laptop.knows_cluster = true;
  laptop.secret = kSecret;
  enter(laptop);
  change_guest_book(book_, [](GuestBook& book) { revoke(book, kLaptop); });
  for (const bool knows : {true, false}) {
    laptop.knows_cluster = knows;
    EXPECT_NE(enter(laptop).find("shut this machine out"), std::string::npos);
    laptop.secret.reset();
  }
  EXPECT_TRUE(admission_.waiting(time_).empty());
  EXPECT_FALSE(admission_.is_admitted(kLaptop));
}

TEST_F(Admissions, AnotherVersionIsNamed) {
  try {
    admission_.ask(kLaptop, {{"name", "laptop"}, {"software", "potluck 0.0.1"}}, time_);
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("potluck 0.0.1"), std::string::npos);
    EXPECT_NE(std::string(fault.what()).find(kSoftware), std::string::npos);
  }
}

TEST_F(Admissions, ACrowdTakesNoMoreThanItsRoom) {
  for (size_t i = 0; i < kWaitingMax; ++i) {
    const std::string key = std::string(63, 'd') + static_cast<char>('0' + i);
    link_of(key)(kAskToJoinVerb, {{"name", "x"}, {"software", kSoftware}});
  }
  EXPECT_NE(enter(entry()).find("too many machines"), std::string::npos);
  time_ += from_seconds(kYesSeconds + 1);
  EXPECT_EQ(enter(entry(), [&] { say_yes(); }), "let in");
}

TEST_F(Admissions, BadWordsAreFaultsOfWhoSaidThem) {
  for (const Json& body :
       {Json::object(), Json{{"name", ""}, {"software", kSoftware}}, Json{{"name", 3}},
        Json{{"name", std::string(65, 'x')}, {"software", kSoftware}},
        Json{{"name", "x"}, {"software", kSoftware}, {"secret", "xyz"}}})
    EXPECT_THROW(admission_.ask(kLaptop, body, time_), Fault) << body;
  EXPECT_THROW(admission_.ask("", {{"name", "x"}, {"software", kSoftware}}, time_), Fault);
  EXPECT_THROW(admission_.number(kLaptop, Json::object(), time_), Fault);
  EXPECT_THROW(admission_.wait(kLaptop, time_), Fault);
  EXPECT_THROW(admission_.answer(kLaptop, true, time_), Fault);
}

TEST_F(Admissions, ABookThatIsDamagedIsToldOnceAndThoseStayThatWereLetIn) {
  change_guest_book(book_, [](GuestBook& book) { admit(book, {kLaptop, "laptop", 0, false}); });
  ASSERT_TRUE(admission_.is_admitted(kLaptop));
  std::ofstream(book_.path(), std::ios::trunc) << "{\"version\": 1, \"tok";
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(admission_.is_admitted(kLaptop));
  EXPECT_FALSE(admission_.is_admitted(kRogue));
  EXPECT_EQ(std::count(said_.begin(), said_.end(), '\n'), 1) << said_;
  EXPECT_NE(said_.find("is damaged; restore it, or remove it"), std::string::npos) << said_;
  fs::remove(book_.path());
  EXPECT_FALSE(admission_.is_admitted(kLaptop));
}

}  // namespace
}  // namespace potluck
