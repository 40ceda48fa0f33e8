"""Chats on a pseudo-terminal, as a person has them."""
import contextlib
import os
import pathlib
import pty
import re
import signal
import sys
import tempfile
import termios
import time
import unittest

from terminals import NANO, PATIENCE, SOURCE, Terminal

sys.path.insert(0, str(SOURCE / "tests"))
from rings import workers_of  # noqa: E402

# Random weights that seldom settle: long answers of many steps.
ENDLESS = ("run", "-m", NANO, "-s", "5", "--steps", "255", "-n", "100000", "-c", "100000")
BRIEF = ("run", "-m", NANO, "-s", "5", "--steps", "4", "-n", "24")
# Its steps take longer than two signals 2 ms apart.
SLUGGISH = "synthetic:nano?layers=6&hidden=512&vocab=32768&canvas=64&seed=3"
CANCEL, END = "\x03", "\x04"


class Logged(Terminal):
    """A terminal with a log: what the model was asked is there."""

    def __init__(self, *arguments, **more):
        self.log = tempfile.NamedTemporaryFile()
        super().__init__(*arguments, "-v", "--log-file", self.log.name, **more)

    def asked(self):
        text = pathlib.Path(self.log.name).read_bytes().decode(errors="replace")
        return re.findall(r"tokens to encode: (.*?<\|turn>model\n)", text, re.DOTALL)


class Chat(unittest.TestCase):
    def test_goes_on_from_answer_to_answer(self):
        with Logged(*BRIEF) as chat:
            chat.wait_for("\n>")
            chat.enter("hello")
            chat.wait_for("tokens/s")
            chat.enter("and you?")
            chat.wait_for("tokens/s", times=2)
            chat.enter("/bye")
            self.assertEqual(chat.end(), 0)
            first, second = chat.asked()
            self.assertTrue(first.startswith("<bos><|turn>user\nhello<turn|>\n"), first)
            self.assertNotIn("<bos>", second)  # what is encoded stays encoded
            self.assertNotIn("<|channel>", second)  # of an earlier answer
            self.assertIn("<turn|>\n<|turn>user\nand you?<turn|>\n", second)

    def test_clear_begins_again(self):
        with Logged(*BRIEF) as chat:
            chat.wait_for("\n>")
            chat.enter("hello")
            chat.wait_for("tokens/s")
            chat.enter("/clear")
            chat.wait_for("forgotten")
            chat.enter("hello")
            chat.wait_for("tokens/s", times=2)
            chat.enter("/bye")
            self.assertEqual(chat.end(), 0)
            first, second = chat.asked()
            self.assertEqual(first, second)

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        for workers in ((), ("--stages", "2")):  # threads; processes
            with self.subTest(workers=workers), Terminal(*ENDLESS, *workers) as chat:
                chat.wait_for("\n>")
                for times in (1, 2):
                    chat.enter("hello")
                    chat.wait_for_row("step ")
                    chat.type(CANCEL)
                    chat.wait_for("stopped", times=times)
                    self.assertNotIn("step ", "\n".join(chat.rows()))
                chat.type(END)
                self.assertEqual(chat.end(), 0)

    def test_ctrl_c_spoils_nothing_above_the_answer(self):
        with Terminal(*ENDLESS) as chat:
            chat.wait_for("\n>")
            chat.enter("hello")
            chat.wait_for("step ")
            time.sleep(0.3)  # drawings that no one has read yet fill the terminal
            chat.type(CANCEL)
            chat.wait_for("stopped")
            self.assertRegex(chat.everything(), r"Chat with [^>]*\n> ?hello\n(.*\n)*stopped\n")

    def test_ctrl_c_at_the_prompt_drops_the_line(self):
        with Logged(*BRIEF) as chat:
            chat.wait_for("\n>")
            chat.type("never mind")
            chat.wait_for("never mind")
            chat.type(CANCEL)
            chat.wait_for("/bye ends")
            chat.enter("hello")
            chat.wait_for("tokens/s")
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            self.assertNotIn("never", chat.asked()[0])

    def test_term_ends_it_with_143(self):
        for busy in (False, True):
            with self.subTest(busy=busy), Terminal(*ENDLESS) as chat:
                chat.wait_for("\n>")
                if busy:
                    chat.enter("hello")
                    chat.wait_for("step ")
                os.kill(chat.pid, signal.SIGTERM)
                self.assertEqual(chat.end(), 143)

    def test_a_pasted_text_is_one_message(self):
        with Logged(*BRIEF) as chat:
            chat.wait_for("\n>")
            chat.type("\x1b[200~one\rtwo\r  three\x1b[201~")
            chat.wait_for("three")
            chat.enter("")
            chat.wait_for("tokens/s")
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            self.assertEqual(len(chat.asked()), 1)
            self.assertIn("user\none\ntwo\n  three<turn|>", chat.asked()[0])

    def test_a_backslash_goes_on_in_the_next_line(self):
        with Logged(*BRIEF) as chat:
            chat.wait_for("\n>")
            chat.enter("one\\")
            chat.wait_for("\n|")
            chat.enter("two")
            chat.wait_for("tokens/s")
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            self.assertIn("user\none\ntwo<turn|>", chat.asked()[0])

    def test_lines_are_edited_as_utf_8(self):
        with Logged(*BRIEF) as chat:
            chat.wait_for("\n>")
            chat.wait_for_editor()
            chat.type("wörld 世界😀x")
            chat.wait_for("世")
            chat.enter("\x7f\x7f\x01W")  # two deleted at the end, one inserted at the start
            chat.wait_for("tokens/s")
            chat.enter("\x1b[A")  # the line before, once more
            chat.wait_for("tokens/s", times=2)
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            first, second = chat.asked()
            self.assertIn("user\nWwörld 世界<turn|>", first)
            self.assertIn("user\nWwörld 世界<turn|>", second)

    def asks(self, typed):
        """What the model is asked after these bytes, each of them typed once the one before is read."""
        with Logged(*BRIEF) as chat:
            chat.wait_for("\n>")
            for piece in typed:
                os.write(chat.fd, piece)
                time.sleep(0.05)  # keys, not one sequence; nothing depends on how long
            chat.wait_for("tokens/s")
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            self.assertEqual(len(chat.asked()), 1)
            return re.search(r"user\n(.*)<turn\|>", chat.asked()[0], re.DOTALL).group(1)

    def test_bytes_that_are_no_utf_8_swallow_no_key(self):
        for latin1 in (b"caf\xe9", b"caf\xe9\x80", b"caf\xc3", b"caf\xf0\x9f", b"caf\xff"):
            with self.subTest(latin1=latin1):
                self.assertEqual(self.asks([latin1 + b"x\r"]), "caf\ufffdx")
                self.assertEqual(self.asks([latin1 + b"\r"]), "caf\ufffd")

    def test_keys_that_mean_nothing_type_nothing(self):
        for name, key in (("page up", b"[5~"), ("page down", b"[6~"), ("insert", b"[2~"), ("F1", b"OP"), ("F5", b"[15~"),
                          ("F6", b"[17~"), ("console F1", b"[[A"), ("shift-up", b"[1;2A"), ("Esc", b"")):  # fmt: skip
            with self.subTest(key=name):
                self.assertEqual(self.asks([b"one", b"\x1b" + key, b"\r"]), "one")
                self.assertEqual(self.asks([b"one\x1b" + key + b"\r"]), "one")

    def test_keys_that_move_and_delete(self):
        keys = b"\x1b[D\x1bOD\x1b[3~" + b"\x1b[H1\x1b[F2\x1b[1~3\x1b[4~4" + b"\x1b[1;5D5"
        self.assertEqual(self.asks([b"abcd" + keys + b"\r"]), "531abd24")

    def test_ctrl_backslash_leaves_the_terminal_as_it_was(self):
        with Terminal(*BRIEF) as chat:
            chat.wait_for("\n>")
            self.assertIn(b"\x1b[?2004h", chat.bytes)
            chat.type("\x1c")
            self.assertEqual(chat.end(), 131)
            self.assertIn(b"\x1b[?2004l", chat.bytes)

    def test_a_second_ctrl_c_leaves_the_terminal_as_it_was(self):
        fresh = termios.tcgetattr(pty.openpty()[1])
        with Terminal("run", "-m", SLUGGISH, "--raw", "--steps", "255") as chat:
            chat.wait_for("\n>")
            chat.wait_for_editor()
            chat.enter("hello")
            chat.wait_for("step")
            os.kill(chat.pid, signal.SIGINT)
            time.sleep(0.002)
            os.kill(chat.pid, signal.SIGINT)
            deadline = time.monotonic() + PATIENCE
            while chat.read() and time.monotonic() < deadline:
                if "stopped" in chat.everything():  # the second came to a prompt, or was one with the first
                    time.sleep(0.5)
                    with contextlib.suppress(OSError):  # it has ended
                        chat.enter("/bye")
                    break
            self.assertIn(chat.end(), (-signal.SIGINT, 0, 3, 130))
            self.assertEqual(termios.tcgetattr(chat.fd), fresh)
            self.assertIn(b"\x1b[?2004l", chat.bytes)

    def test_a_worker_that_dies_is_told_at_once_and_what_was_typed_is_kept(self):
        for busy in (False, True):
            with self.subTest(busy=busy), Terminal(*ENDLESS, "--stages", "2", "--no-recovery") as chat:
                chat.wait_for("\n>")
                chat.wait_for_editor()
                if busy:
                    chat.enter("hello")
                    chat.wait_for("step ")
                chat.type("half a questi")
                if not busy:
                    chat.wait_for("half a questi")
                os.kill(workers_of(chat.pid)["stage 1"], signal.SIGKILL)
                self.assertEqual(chat.end(), 3)
                said = chat.everything()
                self.assertIn("not sent: half a questi", said)
                self.assertRegex(said, "lost (worker )?stage 1")

    def test_show_none_answers_commands_all_the_same(self):
        with Terminal(*BRIEF, "-c", "192", "--show", "none") as chat:
            chat.wait_for(">")
            for command, reply in (("/help", "/clear  forget"), ("/foo", "unknown command /foo"), ("/clear", "forgotten")):
                chat.enter(command)
                chat.wait_for(reply)
            for times in range(5):
                chat.wait_for("\n>", times=3 + times)
                chat.enter(f"question {times}")
            chat.wait_for("the context of 192 is full")
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            for remark in ("Chat with", "tokens/s"):
                self.assertNotIn(remark, chat.everything())

    def test_help_and_unknown_commands_are_not_sent(self):
        with Logged(*BRIEF) as chat:
            chat.wait_for("\n>")
            chat.enter("/help")
            chat.wait_for("/clear  forget")
            chat.enter("/frob")
            chat.wait_for("unknown command /frob")
            chat.enter("/etc/passwd is a file")
            chat.wait_for("tokens/s")
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            self.assertEqual(len(chat.asked()), 1)

    def test_a_message_past_the_context_is_refused_and_the_chat_goes_on(self):
        with Terminal(*BRIEF, "-c", "128") as chat:
            chat.wait_for("\n>")
            chat.enter("x" * 300)
            chat.wait_for("(-c)")
            chat.enter("hello")
            chat.wait_for("tokens/s")
            chat.type(END)
            self.assertEqual(chat.end(), 0)

    def test_a_full_context_forgets_the_oldest(self):
        with Terminal(*BRIEF, "-c", "192") as chat:
            chat.wait_for("\n>")
            for times in range(1, 6):
                chat.enter(f"question {times}")
                chat.wait_for("tokens/s", times=times)
            self.assertIn("the context of 192 is full", chat.everything())
            chat.type(END)
            self.assertEqual(chat.end(), 0)

    def test_answers_alone_go_to_stdout(self):
        with tempfile.TemporaryFile() as out, Terminal(*BRIEF, stdout=out) as chat:
            chat.wait_for("\n>")
            chat.enter("hello")
            chat.wait_for("tokens/s")
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            out.seek(0)
            said = out.read().decode()
            self.assertTrue(said.endswith("\n"))
            for word in ("tokens/s", "Chat with", "step ", "\x1b"):
                self.assertNotIn(word, said)

    def test_raw_messages_stand_alone(self):
        with Terminal("run", "-m", "demo", "--raw", "-s", "3", "-n", "48") as chat:
            chat.wait_for("\n>")
            puzzle = "..4...\r.2...5\r......\r6...1.\r...3..\r1....2"
            for times in (1, 2):
                chat.type(f"\x1b[200~{puzzle}\x1b[201~")
                chat.enter("")
                chat.wait_for("tokens/s", times=times)
            chat.type(END)
            self.assertEqual(chat.end(), 0)
            # Not a prompt of two puzzles: the second is answered as a puzzle, too.
            self.assertGreaterEqual(len(re.findall(r"(?m)^[1-6]{6}$", chat.everything())), 12)

    def test_a_model_without_the_chat_format_says_what_to_do(self):
        with Terminal("run", "-m", "synthetic:nano?vocab=512") as chat:
            self.assertEqual(chat.end(), 2)
            self.assertIn("nospecialtoken<|turn>,whichthechatformatneeds;"
                          "givethepromptwithoutthechatformat(--raw)", "".join(chat.everything().split()))  # fmt: skip

    def test_json_needs_a_prompt(self):
        with Terminal("run", "-m", NANO, "--json") as chat:
            self.assertEqual(chat.end(), 2)
            self.assertIn("--json needs a prompt", chat.everything())


if __name__ == "__main__":
    unittest.main()
