"""The canvas on terminals of all sizes, and what goes where when there is none."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from terminals import NANO, PATIENCE, POTLUCK, Terminal, prompt_file

PUZZLE = "..4...\n.2...5\n......\n6...1.\n...3..\n1....2\n"
DEMO = ("run", "-m", "demo", "--raw", "-s", "3", "-p", PUZZLE)
# Canvases of some 1,400 columns of text: more than a small screen holds.
TALL = ("run", "-m", "synthetic:nano?canvas=256&vocab=4096", "--raw", "-s", "1", "--steps", "6",
        "-n", "256", "-p", "x")  # fmt: skip
LONG = ("run", "-m", NANO, "-s", "5", "--steps", "255", "-n", "4000", "-p", "x")
SOME = ("run", "-m", NANO, "-s", "5", "--steps", "30", "-n", "160", "-p", "x")
GRID = re.compile(r"(?m)^[1-6]{6}$")


class Watched(Terminal):
    """Looks at every frame: one status line, the cursor under it, no canvas scrolled away."""

    def __init__(self, *arguments, **more):
        self.frames, self.complaints, self.hidden_rows = 0, [], 0
        super().__init__(*arguments, **more)

    def frame(self):
        rows = self.rows()
        status = [i for i, row in enumerate(rows) if re.match(r"step \d+/", row)]
        if not status:
            return  # a line of progress
        self.frames += 1
        self.hidden_rows += "more rows" in rows[status[-1]]
        if len(status) != 1 or self.screen.cursor.y != status[0] + 1:
            self.complaints.append("\n".join(rows))
        if any(re.search(r"step \d+/|t\d+t\d+", row) for row in self.scrolled()):
            self.complaints.append("scrolled away:\n" + "\n".join(self.scrolled()))


class Canvas(unittest.TestCase):
    def watch(self, *arguments, **more):
        """Runs to the end; the terminal."""
        with Watched(*arguments, **more) as terminal:
            self.assertEqual(terminal.end(), 0, terminal.everything())
            self.assertGreater(terminal.frames, 1)
            self.assertEqual(terminal.complaints, [])
            self.assertNotRegex("\n".join(terminal.rows()), r"step \d+/")
            self.assertIn("stage 0 (", terminal.everything())  # what stood above it still does
            return terminal

    def test_is_redrawn_in_place_and_leaves_the_answer(self):
        for columns, rows in ((80, 24), (40, 10)):
            with self.subTest(columns=columns):
                terminal = self.watch(*DEMO, columns=columns, rows=rows)
                self.assertEqual(len(GRID.findall(terminal.everything())), 6)
                self.assertRegex(terminal.everything(), r"\d+ tokens in \d+\.\d+ s: ")

    def test_stays_in_its_rows_whatever_is_in_it(self):
        self.watch(*SOME, columns=60, rows=30)

    def test_taller_than_the_screen_is_cut_and_counted(self):
        for columns, rows in ((40, 10), (7, 3), (200, 5)):
            with self.subTest(columns=columns):
                with Watched(*TALL, columns=columns, rows=rows) as terminal:
                    self.assertEqual(terminal.end(), 0)
                    self.assertGreater(terminal.frames, 1)
                    self.assertEqual(terminal.complaints, [])
                    if columns == 200:
                        self.assertGreater(terminal.hidden_rows, 0)

    def test_survives_a_window_that_shrinks(self):
        with Terminal(*SOME, columns=100, rows=30) as terminal:
            terminal.wait_for("step ")
            terminal.resize(40, 10)
            terminal.wait_for("tokens/s")
            self.assertEqual(terminal.end(), 0)
            self.assertNotRegex("\n".join(terminal.rows()), r"step \d+/")

    def test_without_color_there_is_no_style(self):
        style = re.compile(rb"\x1b\[[0-9;]*m")
        for arguments, env, styled in (
            ((), {}, True),
            ((), {"NO_COLOR": "1"}, False),
            ((), {"NO_COLOR": ""}, True),
            (("--color", "never"), {}, False),
            (("--color", "always"), {"NO_COLOR": "1"}, True),
        ):
            with self.subTest(arguments=arguments, env=env), Watched(*DEMO, *arguments, env=env) as terminal:
                self.assertEqual(terminal.end(), 0)
                self.assertEqual(bool(style.search(terminal.bytes)), styled)

    def test_a_dumb_terminal_sees_no_escape_codes(self):
        with Terminal(*DEMO, env={"TERM": "dumb"}) as terminal:
            self.assertEqual(terminal.end(), 0)
            self.assertNotIn(b"\x1b", terminal.bytes)
            self.assertEqual(len(GRID.findall(terminal.everything())), 6)

    def test_the_demo_heeds_them_too(self):
        style = re.compile(rb"\x1b\[[0-9;]*m")
        demo = ("demo", "-s", "1", "--puzzles", "0")
        for env, escapes, styled in (({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, False, False)):
            with self.subTest(env=env), Terminal(*demo, env=env) as terminal:
                self.assertEqual(terminal.end(), 0)
                self.assertEqual(b"\x1b" in terminal.bytes, escapes)
                self.assertEqual(bool(style.search(terminal.bytes)), styled)

    def test_the_9x9_demo_fits_80_columns(self):
        with Watched("demo", "--grid", "9", "-s", "1", "--puzzles", "0") as terminal:
            self.assertEqual(terminal.end(), 0)
            self.assertGreater(terminal.frames, 0)
            self.assertEqual((terminal.complaints, terminal.hidden_rows), ([], 0))
            said = terminal.everything()
            self.assertEqual(len(re.findall(r"(?m)^[1-9.]{9}$", said)), 9)
            self.assertEqual(len(re.findall(r"(?m)^([ \[{][1-9][ \]}]){8}[ \[{][1-9][ \]}]?$", said)), 9)

    def test_piped_stdin_is_the_prompt(self):
        with prompt_file(PUZZLE) as stdin, tempfile.TemporaryFile() as stdout:
            with Watched(*DEMO[:-2], stdin=stdin, stdout=stdout) as terminal:
                self.assertEqual(terminal.end(), 0)
                self.assertGreater(terminal.frames, 1)
            stdout.seek(0)
            self.assertRegex(stdout.read().decode(), r"\A([1-6]{6}\n){6}\Z")

    def test_ctrl_c_ends_one_answer_with_130_and_leaves_no_canvas(self):
        with Terminal(*LONG) as terminal:
            terminal.wait_for("step ")
            terminal.type("\x03")
            self.assertEqual(terminal.end(), 130)
            self.assertNotRegex("\n".join(terminal.rows()), r"step \d+/")

    def test_an_answer_cannot_drive_the_terminal(self):
        with Terminal(*SOME, "--color", "never", "--show", "text") as terminal:
            self.assertEqual(terminal.end(), 0)
            self.assertNotIn(b"\x1b", terminal.bytes)


def run(*arguments, stdin="", **more):
    return subprocess.run([POTLUCK, *arguments], input=stdin.encode(), capture_output=True, timeout=2 * PATIENCE, **more)


class WithoutTerminal(unittest.TestCase):
    def test_json_is_one_object_and_nothing_else(self):
        done = run(*DEMO, "--json", "--show", "canvas", "-v")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.count(b"\n"), 1)
        answer = json.loads(done.stdout)
        self.assertRegex(answer["text"], r"\A([1-6]{6}\n){6}\Z")
        self.assertEqual(answer["seed"], 3)
        self.assertEqual(answer["tokens"], len(answer["ids"]))

    def test_stdout_has_the_answer_alone(self):
        for show in ("canvas", "text", "none"):
            done = run(*DEMO, "--show", show)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout.decode(), r"\A([1-6]{6}\n){6}\Z")
            self.assertEqual(done.stderr == b"", show == "none", done.stderr)

    def test_a_random_seed_is_printed_and_gives_the_same_answer_again(self):
        arguments = ("run", "-m", NANO, "-p", "x", "--steps", "3", "--json")
        first = run(*arguments)
        seed = json.loads(first.stdout)["seed"]
        self.assertIn(f"seed {seed}".encode(), first.stderr)
        again = run(*arguments, "-s", str(seed))
        self.assertEqual(json.loads(again.stdout)["ids"], json.loads(first.stdout)["ids"])
        other = run(*arguments)
        self.assertNotEqual(json.loads(other.stdout)["ids"], json.loads(first.stdout)["ids"])

    def test_n_trims_and_says_so(self):
        done = run("run", "-m", NANO, "-p", "x", "--steps", "3", "-s", "5", "-n", "20", "--json")
        self.assertEqual(len(json.loads(done.stdout)["ids"]), 20)
        self.assertIn(b"the answer is cut off after 20 tokens: raise -n", done.stderr)

    def test_n_past_the_context_says_so(self):
        done = run("run", "-m", NANO, "-p", "x", "--steps", "3", "-s", "5", "-n", "500", "-c", "64")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"-n 500 behind a prompt of ", done.stderr)
        self.assertIn(b"raise -c", done.stderr)

    def test_the_log_file_has_every_step(self):
        with tempfile.NamedTemporaryFile() as log:
            done = run(*DEMO, "--log-file", log.name, "--show", "none")
            self.assertEqual(done.stderr, b"")
            text = pathlib.Path(log.name).read_text(encoding="utf-8")
            self.assertIn("canvas 1, step 1: temperature 0.8", text)
            self.assertIn("tokens/s", text)

    def test_a_full_disk_is_said(self):
        with open("/dev/full", "wb") as full:
            for arguments in (("--help",), ("--version",), ("run", "--help"), DEMO):
                done = subprocess.run([POTLUCK, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=2 * PATIENCE)
                self.assertEqual(done.returncode, 3, arguments)
                self.assertIn(b"stdout could not be written", done.stderr)
        done = run(*DEMO, "--log-file", "/dev/full", "--show", "none")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr.decode(), r"\Apotluck: the log cannot be written .*\n\Z")

    def test_a_closed_pipe_is_quiet(self):
        process = subprocess.Popen([POTLUCK, *LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        errors = process.stderr.read().decode()
        self.assertEqual(process.wait(timeout=PATIENCE), -signal.SIGPIPE, errors)
        self.assertNotIn("potluck:", errors)
        process.stderr.close()

    def test_signals_end_it_with_their_codes(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            process = subprocess.Popen([POTLUCK, *LONG], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            while b"first step" not in (line := process.stderr.readline()):
                self.assertTrue(line, "it ended too early")
            os.kill(process.pid, number)
            process.stderr.read()
            self.assertEqual(process.wait(timeout=PATIENCE), code)
            process.stderr.close()

    def test_bad_input_is_one_line_and_exit_code_2(self):
        with tempfile.NamedTemporaryFile() as bad:
            bad.write(b"ab\xffcd")
            bad.flush()
            table = [
                (("-m", NANO, "-p", ""), "the prompt is empty (-p)"),
                (("-m", NANO, "-f", ""), "-f, --file: the name of the file is empty"),
                (("-m", NANO), "the prompt is empty (stdin)"),
                (("-m", NANO, "-f", "/nonexistent"), "/nonexistent"),
                (("-m", NANO, "-f", bad.name), "byte 2 is 0xFF"),
                (("-m", NANO, "-p", "x" * 100, "-c", "64"), "raise the context (-c)"),
                (("-m", NANO, "-p", "x", "-n", "0"), "must be 1 to 2147483647, or -1, not 0"),
                (("-m", NANO, "-p", "x", "--log-file", "/nonexistent/log"), "/nonexistent/log"),
                (("-m", NANO, "-p", "x", "-f", "y"), "-p and -f both give a prompt"),
                (("-m", NANO, "-p", "x", "--promt", "y"), 'did you mean "--prompt"?'),
                (("--promt", "y"), 'did you mean "--prompt"?'),
                (("-m", "synthetic:nano?vocab=512", "-p", "x"), "without the chat format (--raw)"),
            ]
            for arguments, words in table:
                with self.subTest(arguments=arguments):
                    done = run("run", *arguments)
                    lines = [l for l in done.stderr.decode().splitlines() if not l.startswith("seed ")]
                    self.assertEqual(done.returncode, 2, lines)
                    self.assertEqual(len(lines), 1, lines)
                    self.assertTrue(lines[0].startswith("potluck"), lines)
                    self.assertIn(words, lines[0])
                    self.assertEqual(done.stdout, b"")


if __name__ == "__main__":
    unittest.main()
