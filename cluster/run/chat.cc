// Reads messages from a terminal, obeys commands, and shows the answers to the rest.
#include "cluster/run/chat.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>

#include "cluster/cli/fault_line.h"
#include "cluster/cli/interrupt.h"
#include "cluster/run/run_report.h"
#include "cluster/terminal/line_editor.h"
#include "cluster/terminal/terminal.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "transport/state_machine.h"

namespace potluck {
namespace {

constexpr char kHelp[] =
    "/clear  forget the conversation\n"
    "/bye    end (also /exit, Ctrl-D)\n"
    "/help   show this\n"
    "Ctrl-C stops an answer. End a line with \\, or paste, to send several lines as one message.";

class Chat {
 public:
  Chat(Answerer& ring, ChatSession& session, const ChatPlace& place)
      : ring_(ring), session_(session), place_(place) {}

  void run() {
    remark(fmt::format("Chat with {}{}. /help lists the commands.", place_.model,
                       place_.raw ? ", raw: each message stands alone" : ""));
    LineEditor editor(place_.display.stderr_terminal,
                      [this] { return ring_.turn(now() + from_seconds(kTickSeconds)); });
    for (;;) {
      const TypedMessage typed = editor.read();
      quiet_.reset();
      if (typed.kind == TypedMessage::Kind::stopped) {
        say_unsent(typed.text);
        ring_.throw_failure();
      }
      if (typed.kind == TypedMessage::Kind::end) return;
      if (typed.kind == TypedMessage::Kind::interrupted)
        interrupted("Ctrl-D or /bye ends");
      else if (typed.text == "/bye" || typed.text == "/exit")
        return;
      else
        obey(typed.text);
    }
  }

 private:
  void obey(const std::string& text) {
    if (trimmed(text).empty()) return;
    if (!is_command(text)) return answer(text);
    if (text == "/clear") {
      session_.clear();
      say("forgotten");
    } else {
      if (text != "/help") say("unknown command " + text + "; to send it, begin with a space");
      say(kHelp);
    }
  }

  // A command is a slash and one word.
  static bool is_command(const std::string& text) {
    return text.size() > 1 && text[0] == '/' &&
           std::all_of(text.begin() + 1, text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  }

  void answer(const std::string& text) {
    try {
      const Request request = session_.open(place_.raw ? text + "\n" : text);
      if (const int rounds = session_.just_forgotten())
        say(fmt::format("the context of {} is full: the oldest {} forgotten", ring_.plan().ctx_size,
                        rounds == 1 ? "question and answer are"
                                    : fmt::format("{} questions and answers are", rounds)));
      const RequestResult result = watch(request);
      for (const std::string& line : chat_report_lines(result, session_.wanted())) remark(line);
    } catch (const Fault& fault) {
      if (fault.kind() == FaultKind::canceled) return interrupted("stopped");
      if (fault.kind() != FaultKind::input) {
        say_unsent(typed_ahead());
        throw;
      }
      std::fprintf(stderr, "%s\n", fault_line(fault).c_str());
    }
  }

  RequestResult watch(const Request& request) {
    quiet_.emplace(place_.display.stderr_terminal);
    AnswerView view(place_.tokenizer, place_.display, request, place_.canvas);
    RequestEvents events = view.events();
    events.encoding = [&, show = events.encoding](const EncodeReport& report) {
      if (report.done == 0) log_encode(request.prompt, report.total);
      show(report);
    };
    const RequestResult result = session_.ask(request, std::move(events));
    view.finish();
    if (const std::string line = empty_line(result, view.text()); !line.empty()) say(line);
    return result;
  }

  void log_encode(std::span<const int32_t> prompt, int tokens) const {
    const std::span<const int32_t> asked = prompt.last(static_cast<size_t>(tokens));
    spdlog::debug("{} tokens to encode{}", tokens,
                  place_.verbose ? ": " + place_.tokenizer.decode(asked) : "");
  }

  void interrupted(const std::string& line) {
    const int signal = interrupt_signal();
    if (signal == SIGTERM || signal == SIGQUIT || signal == SIGHUP)
      throw Fault(FaultKind::canceled, "terminated");
    clear_interrupt();
    remark(line);
  }

  // A question that was typed is not lost when the ring is, and no shell takes it for commands.
  void say_unsent(const std::string& typed) {
    if (!trimmed(typed).empty()) say("not sent: " + typed);
  }

  // Says something that nobody asked for; --show none leaves it out.
  void remark(const std::string& text) {
    if (place_.display.show != Show::none) say(text);
  }

  void say(const std::string& text) {
    std::fprintf(stderr, place_.display.color ? "\x1b[2m%s\x1b[0m\n" : "%s\n",
                 harmless(text).c_str());
  }

  Answerer& ring_;
  ChatSession& session_;
  const ChatPlace& place_;
  std::optional<EchoOff> quiet_;  // holds from a question until the editor has the terminal again
};

}  // namespace

void chat(Answerer& ring, ChatSession& session, const ChatPlace& place) {
  Chat(ring, session, place).run();
}

}  // namespace potluck
