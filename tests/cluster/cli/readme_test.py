"""README against the program: every block runs, and every flag that it names exists."""
import functools
import itertools
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

from hub import Hub
from rings import NANO, PATIENCE, POTLUCK, SOURCE, potluck

README = (SOURCE / "README.md").read_text()
SETS_UP = {"cluster/quickstart", "tests/run"}  # each builds potluck: this very test is part of the second
REPOSITORY = "unsloth/diffusiongemma-26B-A4B-it-GGUF"
HUB_FILE = "models--unsloth--diffusiongemma-26B-A4B-it-GGUF/snapshots/1/diffusiongemma-26B-A4B-it-Q4_K_M.gguf"
COMMANDS = [("run",), ("worker",), ("up",), ("down",), ("drain",), ("status",), ("logs",), ("devices",), ("doctor",), ("inspect",), ("key",),
            ("plan",), ("pull",), ("share",), ("join",), ("leave",), ("admit",), ("token", "create"), ("token", "list"),
            ("token", "revoke"), ("tokenize",), ("verify",), ("demo",), ("bench", "demo"), ("bench", "step")]  # fmt: skip
# tests/ring/two_machines_test.py and tests/cluster/launch/joining_test.py
OTHER_TESTS = {"On two machines", "Machines that join"}
# Lets mpirun start four ranks where there are two cores, and as root.
MPIRUN_HERE = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}


# Of this machine alone, where the reader has more.
CLUSTER = """version: 1
model: model.gguf
hosts:
  - name: desk
    here: true
    devices:
      - {device: cpu, memory: 4GiB, speed: {sliding_layer: 1ms, full_layer: 1ms, head: 1ms}}
"""


def sections():
    """Heading → text, down to the next heading of any level."""
    parts = re.split(r"^#+ (.*)$", README, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def is_flag(word):
    return re.fullmatch(r"--?[a-z][-a-z]*", word) is not None


@functools.cache
def flags_of(command):
    """The flags that the command's --help lists."""
    return {flag for line in potluck(*command, "--help")[0].splitlines() if (match := re.match(r"  (-[-\w,]+)", line))
            for flag in match[1].split(",")}


class Readme(unittest.TestCase):
    def place(self):
        """A folder as README's reader has it: a model, a question, the repository's tests, a hub cache, potluck on PATH."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        place = pathlib.Path(folder.name)
        cached = place / "hub" / HUB_FILE
        cached.parent.mkdir(parents=True)
        for link, target in ((place / "model.gguf", NANO), (cached, NANO), (place / "tests", SOURCE / "tests"),
                             (place / "cluster", SOURCE / "cluster")):
            link.symlink_to(target)
        (place / "question.txt").write_text("Why is the sky blue?\n")
        (place / "cluster.yaml").write_text(CLUSTER)
        return place

    def test_every_block_runs(self):
        place = self.place()
        hub = Hub(REPOSITORY, {pathlib.Path(HUB_FILE).name: pathlib.Path(NANO).read_bytes()})
        self.addCleanup(hub.__exit__)
        path = f"{pathlib.Path(POTLUCK).parent}:{os.environ['PATH']}"
        ran = 0
        for heading, text in sections().items():
            for block in re.findall(r"```sh\n(.*?)```", text, re.S) if heading not in OTHER_TESTS else ():
                for line in block.strip().splitlines():
                    if line in SETS_UP:
                        self.assertTrue(os.access(SOURCE / line, os.X_OK), line)
                        continue
                    with self.subTest(line=line):
                        done = subprocess.run(["bash", "-ec", line], cwd=place, capture_output=True, timeout=5 * PATIENCE,
                                              stdin=subprocess.DEVNULL, check=False,
                                              env={**os.environ, **MPIRUN_HERE, "PATH": path,
                                                   "HF_HUB_CACHE": str(place / "hub"), "HF_ENDPOINT": hub.url,
                                                   "XDG_STATE_HOME": str(place / "state")})  # fmt: skip
                        self.assertEqual(done.returncode, 0, done.stderr.decode())
                        self.assertTrue(done.stdout)
                        ran += 1
        self.assertGreaterEqual(ran, 8)

    def test_every_line_has_flags_of_its_command(self):
        lines = [line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()
                 if re.search(r"\bpotluck\b", line)]
        self.assertGreaterEqual(len(lines), 10)
        for line in lines:
            words = shlex.split(line)[shlex.split(line).index("potluck") + 1:]
            words = words[:words.index(":")] if ":" in words else words
            command = tuple(itertools.takewhile(lambda word: not word.startswith("-"), words))
            with self.subTest(line=line):
                self.assertLessEqual({word for word in words if is_flag(word)}, flags_of(command))

    def test_every_flag_in_the_text_exists(self):
        text = re.sub(r"```.*?```", "", README, flags=re.S)
        named = {word for span in re.findall(r"`([^`]+)`", text) for word in span.split() if is_flag(word)}
        self.assertGreaterEqual(len(named), 5)
        self.assertLessEqual(named, set().union(*map(flags_of, COMMANDS)))


if __name__ == "__main__":
    unittest.main()
