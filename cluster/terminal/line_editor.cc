// Reads messages by way of libedit, where a pasted text of many lines is one message.
#include "cluster/terminal/line_editor.h"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cwchar>
#include <iterator>
#include <string_view>

#include "cluster/cli/interrupt.h"
#include "cluster/terminal/terminal.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr int kLookMs = 200;  // between looks at signals and the window's size
constexpr int kHistorySize = 1000;
constexpr char kPasteOn[] = "\x1b[?2004h";
constexpr char kPasteOff[] = "\x1b[?2004l";
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";

// Reads one byte of stdin and returns 1; returns 0 at its end and −1 after a signal. While it
// waits, it calls `idle` every kLookMs, and returns −1 if that says no.
int next_byte(char* byte, const std::function<bool()>& idle) {
  for (;;) {
    if (interrupt_signal()) return -1;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, kLookMs) > 0) {
      const ssize_t n = ::read(STDIN_FILENO, byte, 1);
      if (n >= 0) return n;
    }
    if (!idle()) return -1;
  }
}

bool continues(char byte) {
  return (byte & 0xC0) == 0x80;
}

// The length of the UTF-8 character that begins with this byte.
size_t bytes_of(char first) {
  const uint8_t byte = first;
  return byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
}

std::string utf8_of(std::wstring_view text) {
  std::string out;
  for (wchar_t c : text) {
    const uint32_t code = c;
    const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr uint8_t kLead[] = {0x00, 0xC0, 0xE0, 0xF0};
    out += kLead[more] | code >> (6 * more);
    for (int i = more - 1; i >= 0; --i) out += 0x80 | (code >> (6 * i) & 0x3F);
  }
  return out;
}

constexpr wchar_t kEscape = 0x1B;

// A key sends `sequence` after an escape character, and libedit then calls `function`. All other
// such sequences (page up, F5) do nothing.
struct Key {
  const char* sequence;
  const wchar_t *name, *function;
};
constexpr Key kKeys[] = {
    {"[200~", L"\\e[200~", L"paste"},        {"[A", L"\\e[A", L"ed-prev-history"},
    {"OA", L"\\eOA", L"ed-prev-history"},    {"[B", L"\\e[B", L"ed-next-history"},
    {"OB", L"\\eOB", L"ed-next-history"},    {"[C", L"\\e[C", L"ed-next-char"},
    {"OC", L"\\eOC", L"ed-next-char"},       {"[D", L"\\e[D", L"ed-prev-char"},
    {"OD", L"\\eOD", L"ed-prev-char"},       {"[H", L"\\e[H", L"ed-move-to-beg"},
    {"OH", L"\\eOH", L"ed-move-to-beg"},     {"[1~", L"\\e[1~", L"ed-move-to-beg"},
    {"[F", L"\\e[F", L"ed-move-to-end"},     {"OF", L"\\eOF", L"ed-move-to-end"},
    {"[4~", L"\\e[4~", L"ed-move-to-end"},   {"[3~", L"\\e[3~", L"ed-delete-next-char"},
    {"[1;5C", L"\\e[1;5C", L"em-next-word"}, {"[1;5D", L"\\e[1;5D", L"ed-prev-word"},
};

bool is_known(const std::string& sequence) {
  return std::any_of(std::begin(kKeys), std::end(kKeys),
                     [&](const Key& key) { return sequence == key.sequence; });
}

// F1 to F5 of the Linux console send one more bracket: ESC [ [ A.
bool is_complete(const std::string& sequence) {
  return sequence.size() > 1 && sequence.back() >= '@' && sequence != "[[";
}

wchar_t wide_of(const std::string& glyph) {
  mbstate_t state{};
  wchar_t wide = 0;
  const size_t used = std::mbrtowc(&wide, glyph.data(), glyph.size(), &state);
  return used == glyph.size() ? wide : L'\uFFFD';
}

}  // namespace

// libedit's objects, and the functions that it calls.
struct LineEditor::Editor {
  const std::function<bool()> goes_on;
  EditLine* line = el_init("potluck", stdin, stderr, stderr);
  HistoryW* history = history_winit();
  const wchar_t* prompt = L"> ";
  Screen screen = stderr_screen();
  termios editing{};  // how libedit has set the terminal
  std::string back;   // bytes that were read too early, in their order

  explicit Editor(std::function<bool()> still) : goes_on(std::move(still)) {
    HistEventW event;
    history_w(history, &event, H_SETSIZE, kHistorySize);
    el_wset(line, EL_CLIENTDATA, this);
    el_wset(line, EL_PROMPT, &give_prompt);
    el_wset(line, EL_GETCFN, &read_char);
    el_wset(line, EL_HIST, history_w, history);
    el_wset(line, EL_EDITOR, L"emacs");
    el_wset(line, EL_ADDFN, L"paste", L"insert what is pasted", &paste);
    bind_keys();
    std::fputs(kPasteOn, stderr);
  }

  ~Editor() {
    std::fputs(kPasteOff, stderr);
    el_end(line);
    history_wend(history);
  }

  void bind_keys() {
    const auto bind = [this](const wchar_t* name, const wchar_t* function) {
      el_wset(line, EL_BIND, name, function, static_cast<wchar_t*>(nullptr));
    };
    for (const Key& key : kKeys) bind(key.name, key.function);
    bind(L"^R", L"em-inc-search-prev");
  }

  static Editor& of(EditLine* line) {
    Editor* editor = nullptr;
    el_wget(line, EL_CLIENTDATA, &editor);
    return *editor;
  }

  static wchar_t* give_prompt(EditLine* line) { return const_cast<wchar_t*>(of(line).prompt); }

  // After a stop (Ctrl-Z) the shell gives the terminal back with its own settings.
  void follow_terminal() {
    termios now_set{};
    if (tcgetattr(STDIN_FILENO, &now_set) == 0 && (now_set.c_lflag & ICANON)) {
      tcsetattr(STDIN_FILENO, TCSADRAIN, &editing);
      el_wset(line, EL_REFRESH);
    }
    const Screen now = stderr_screen();
    if (now.columns == screen.columns && now.rows == screen.rows) return;
    screen = now;
    el_resize(line);
    el_wset(line, EL_REFRESH);
  }

  // As next_byte(), but bytes of `back` come first.
  int next(char* byte) {
    if (back.empty())
      return next_byte(byte, [this] {
        follow_terminal();
        return goes_on();
      });
    *byte = back.front();
    back.erase(0, 1);
    return 1;
  }

  // Reads one character and returns 1; returns 0 and −1 as next_byte() does. U+FFFD replaces bytes
  // that are no UTF-8.
  int read_glyph(wchar_t* out) {
    std::string glyph(1, 0);
    do
      if (const int n = next(&glyph[0]); n != 1) return n;
    while (glyph[0] == 0);  // a Ctrl-D that was typed before we read
    while (glyph.size() < bytes_of(glyph[0])) {
      char byte = 0;
      if (const int n = next(&byte); n != 1) return n;
      if (!continues(byte)) {
        back.insert(0, 1, byte);
        break;
      }
      glyph += byte;
    }
    *out = wide_of(glyph);
    return 1;
  }

  // Looks at the bytes behind an escape character. If one of our keys sent them, they go to `back`
  // and 1 is returned; else they are dropped and 2 is returned. 0 and −1 are those of next_byte().
  int look_behind_escape() {
    std::string sequence(1, 0);
    if (const int n = next(&sequence[0]); n != 1) return n;
    const bool alone = sequence[0] == '\r' || sequence[0] == '\n' || sequence[0] == '\x1b';
    const bool of_key = sequence[0] == '[' || sequence[0] == 'O';
    while (of_key && !is_complete(sequence)) {
      char byte = 0;
      if (const int n = next(&byte); n != 1) return n;
      if (byte < ' ' || byte > '~') {  // the sequence breaks off
        back.insert(0, 1, byte);
        return 2;
      }
      sequence += byte;
    }
    if (of_key && !is_known(sequence)) return 2;
    back.insert(0, sequence);
    return alone ? 2 : 1;
  }

  static int read_char(EditLine* line, wchar_t* out) {
    Editor& editor = of(line);
    tcgetattr(STDIN_FILENO, &editor.editing);
    for (;;) {
      if (const int n = editor.read_glyph(out); n != 1 || *out != kEscape) return n;
      if (const int n = editor.look_behind_escape(); n != 2) return n;
    }
  }

  static unsigned char paste(EditLine* line, wint_t) {
    std::wstring text;
    wchar_t c = 0;
    while (!text.ends_with(kPasteEnd)) {
      if (of(line).read_glyph(&c) != 1) return CC_ERROR;
      text += c == L'\r' ? L'\n' : c;
    }
    text.resize(text.size() - kPasteEnd.size());
    el_winsertstr(line, text.c_str());
    return CC_REFRESH;
  }
};

// libedit notes how the terminal is set when it begins.
LineEditor::LineEditor(bool edit, std::function<bool()> goes_on)
    : goes_on_([this, goes_on = std::move(goes_on)] {
        stopped_ = stopped_ || !goes_on();
        return !stopped_;
      }) {
  if (!edit) return;
  remember_terminal();
  editor_ = std::make_unique<Editor>(goes_on_);
}

LineEditor::~LineEditor() = default;

namespace {

TypedMessage stopped(const std::string& typed) {
  return {TypedMessage::Kind::stopped, typed};
}

}  // namespace

TypedMessage LineEditor::read() {
  TypedMessage message = read_line(true);
  while (message.kind == TypedMessage::Kind::message && message.text.ends_with('\\')) {
    TypedMessage next = read_line(false);
    message.text.back() = '\n';
    if (next.kind == TypedMessage::Kind::stopped) next.text.insert(0, message.text);
    if (next.kind != TypedMessage::Kind::message) return next;
    message.text += next.text;
  }
  if (editor_ && message.kind == TypedMessage::Kind::message && !message.text.empty()) {
    HistEventW event;
    std::wstring wide;
    for (std::string_view rest = message.text; !rest.empty(); rest.remove_prefix(utf8_length(rest)))
      wide += wide_of(std::string(rest.substr(0, utf8_length(rest))));
    history_w(editor_->history, &event, H_ENTER, wide.c_str());
  }
  return message;
}

TypedMessage LineEditor::read_line(bool first) {
  if (!editor_) {
    std::string line;
    char byte = 0;
    int n = 0;
    while ((n = next_byte(&byte, goes_on_)) == 1 && byte != '\n') line += byte;
    if (n < 0) return stopped_ ? stopped(line) : TypedMessage{TypedMessage::Kind::interrupted, ""};
    return {n == 0 && line.empty() ? TypedMessage::Kind::end : TypedMessage::Kind::message, line};
  }
  editor_->prompt = first ? L"> " : L"| ";
  int count = 0;
  const wchar_t* typed = el_wgets(editor_->line, &count);
  if (!typed || count <= 0) {
    std::fputs("\n", stderr);
    const LineInfoW* left = el_wline(editor_->line);
    if (stopped_) return stopped(utf8_of({left->buffer, left->lastchar}));
    return {interrupt_signal() ? TypedMessage::Kind::interrupted : TypedMessage::Kind::end, ""};
  }
  std::string text = utf8_of({typed, static_cast<size_t>(count)});
  if (text.ends_with('\n')) text.pop_back();
  return {TypedMessage::Kind::message, text};
}

}  // namespace potluck
