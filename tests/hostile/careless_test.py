"""Careless commands: each ends soon, by its exit code and one line, and drives no terminal."""
import os
import subprocess
import tempfile
import unittest

from rings import NANO, PATIENCE, POTLUCK

# {run}: an answer of a few ids; {two}: the same by worker processes; {folder}: an empty one; {esc}: what drives a
# terminal, in a name.
CASES = [
    # name, exit codes, what the last line says, command
    ("a folder as a model", (2,), "config.json", "{potluck} run -m {folder} -p x"),
    ("a device as a model", (2,), "not a regular file", "{potluck} run -m /dev/zero -p x"),
    ("a pipe as a model", (2,), "not a regular file", "mkfifo {folder}/p; {potluck} run -m {folder}/p -p x"),
    ("no name of a model", (2,), "there is no model", "{potluck} run -m '' -p x"),
    ("a name of a model that drives a terminal", (2,), "there is no model", "{potluck} run -m '{folder}/{esc}' -p x"),
    ("a prompt without an end", (2,), "no more than that", "{run} -f /dev/zero"),
    ("a folder as a prompt", (2,), "directory", "{run} -f {folder}"),
    ("a name of a prompt that drives a terminal", (2,), "cannot open", "{run} -f '{folder}/{esc}'"),
    ("a prompt from a pipe that says nothing", (2,), "", "mkfifo {folder}/p; : > {folder}/p & {run} -f {folder}/p"),
    ("a plan without an end", (2,), "no more than that", "{run} -p x --plan /dev/zero"),
    ("a folder as a plan", (2,), "directory", "{run} -p x --plan {folder}"),
    ("a plan that drives a terminal", (2,), "", "printf 'version: 1\\n{esc}: 1\\n' > {folder}/p; {run} -p x --plan {folder}/p"),
    ("a full disk", (3,), "could not be written", "{run} -p hello > /dev/full"),
    ("no stdout", (3,), "could not be written", "{run} -p hello >&-"),
    ("no stdin", (0,), "", "{run} -p hello <&-"),
    ("no stderr", (0,), "", "{run} -p hello 2>&-"),
    ("no environment", (0,), "", "env -i {run} -p hello"),
    ("no folder for sockets", (3,), "TMPDIR", "TMPDIR={folder}/none {two} -p hello"),
    ("a hundred thousand threads", (2,), "1 to 1024", "{run} -p x -t 100000"),
    ("a chunk past the context", (2,), "chunk", "{run} -p x --chunk 262144"),
    ("a context of two billion", (2,), "context", "{run} -p x -c 2000000000"),
    ("ten thousand stages", (2,), "1 to 256", "{run} -p x --stages 10000"),
    ("a worker at a file", (2,), "no socket", "touch {folder}/f; {worker} --listen ipc://{folder}/f"),
    ("a worker at a port that there is not", (2,), "65535", "{worker} --listen tcp://127.0.0.1:99999"),
    ("a worker at an address of another machine", (3,), "cannot listen",
     "{worker} --listen tcp://203.0.113.7:7000 --insecure-plaintext"),
    ("a worker at what drives a terminal", (2,), "endpoint", "{worker} --listen 'tcp://{esc}:1'"),
]  # fmt: skip
DRIVERS = "\x1b[Ja\u009bJb\u202ec\u2028d"


def harmless(text):
    return all(c in "\n\t" or c.isprintable() or c == "\u3000" for c in text)


class Careless(unittest.TestCase):
    def run_case(self, command):
        with tempfile.TemporaryDirectory() as folder:
            run = f"{POTLUCK} run -m {NANO} --raw --steps 2 -n 4 -s 7"
            words = {"potluck": POTLUCK, "run": run, "two": run + " --stages 2", "folder": folder, "esc": DRIVERS,
                     "worker": f"{POTLUCK} worker -m {NANO}"}  # fmt: skip
            return subprocess.run(["sh", "-c", command.format(**words)], stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=PATIENCE, env={**os.environ, "TERM": "dumb"})  # fmt: skip

    def test_each_ends_in_one_line(self):
        for name, codes, says, command in CASES:
            with self.subTest(name):
                done = self.run_case(command)
                said = done.stderr.decode(errors="strict")
                self.assertIn(done.returncode, codes, said)
                self.assertTrue(harmless(said), said.encode())
                if done.returncode:
                    lines = [line for line in said.splitlines() if line.startswith("potluck: ")]
                    self.assertEqual(len(lines), 1, said)
                    self.assertIn(says, said.splitlines()[-1])


if __name__ == "__main__":
    unittest.main()
