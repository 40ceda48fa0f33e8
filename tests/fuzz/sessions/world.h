// A World is one sequence: workers, perhaps a ring of them that works, and peers that mean harm;
// what they do is drawn. It ends the process where something that must hold does not.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "tests/fuzz/sessions/callers.h"
#include "tests/fuzz/sessions/subject.h"

namespace potluck {

class World final {
 public:
  explicit World(Draws& draws);

  // The sequence, and then an honest coordinator's answer, which must be that of an undisturbed
  // ring.
  void run();
  // Asks a ring that nobody disturbs.
  Answer undisturbed();

 private:
  struct Member {
    std::unique_ptr<Worker> worker;
    std::unique_ptr<Party> party;
  };

  void add_worker(size_t index);
  Party::Tamper tamper(bool is_traitor);
  std::vector<Frames> pass_on(Frames frames);
  void choose_sides();
  void start_ring();
  void act();
  void act_as_owner();
  void act_as_time();
  Party* any_party();
  void wait(double seconds);
  void settle();
  void check_room() const;
  void await_answers(Coordinator& coordinator);
  void check_ring();
  void end_attack();
  void end(std::unique_ptr<Coordinator>& coordinator);
  Answer ask_honestly();
  void check_revived();

  Draws& draws_;
  Words words_;  // outlives what it said
  Wires wires_;
  Callers callers_;
  bool traitors_act_ = true;
  bool calls_come_ = true;     // from hostile peers
  bool is_loyal_ = false;      // there is a ring, of which nobody is a traitor
  bool stays_silent_ = false;  // nobody hangs up in the end
  uint64_t loyalty_ = 0;       // bits of those that are traitors: workers, then the coordinator
  uint64_t last_incarnation_ = 0xC0DE;
  std::array<Member, kWorkers> workers_;
  std::unique_ptr<Coordinator> coordinator_;
};

const Answer& undisturbed_answer();

}  // namespace potluck
