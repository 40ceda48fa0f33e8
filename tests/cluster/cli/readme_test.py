"""README against the program: every block runs, every flag is documented once."""
import collections
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from rings import NANO, POTLUCK, SOURCE, potluck

README = (SOURCE / "README.md").read_text()
SETS_UP = {"cluster/quickstart", "tests/run"}  # each builds potluck: this very test is part of the second
HUB_FILE = "models--unsloth--diffusiongemma-26B-A4B-it-GGUF/snapshots/1/diffusiongemma-26B-A4B-it-Q4_K_M.gguf"
OTHER_TEST = "On two machines"  # tests/ring/two_machines_test.py


def sections():
    """Heading → text, down to the next heading of any level."""
    parts = re.split(r"^#+ (.*)$", README, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


class Readme(unittest.TestCase):
    def place(self):
        """A folder as README's reader has it: a model, a question, the repository's tests, a hub cache, potluck on PATH."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        place = pathlib.Path(folder.name)
        cached = place / "hub" / HUB_FILE
        cached.parent.mkdir(parents=True)
        for link, target in ((place / "model.gguf", NANO), (cached, NANO), (place / "tests", SOURCE / "tests")):
            link.symlink_to(target)
        (place / "question.txt").write_text("Why is the sky blue?\n")
        return place

    def test_every_block_runs(self):
        place = self.place()
        path = f"{pathlib.Path(POTLUCK).parent}:{os.environ['PATH']}"
        ran = 0
        for heading, text in sections().items():
            for block in re.findall(r"```sh\n(.*?)```", text, re.S) if heading != OTHER_TEST else ():
                for line in block.strip().splitlines():
                    if line in SETS_UP:
                        self.assertTrue(os.access(SOURCE / line, os.X_OK), line)
                        continue
                    with self.subTest(line=line):
                        done = subprocess.run(["bash", "-ec", line], cwd=place, capture_output=True, timeout=300,
                                              stdin=subprocess.DEVNULL, check=False,
                                              env={**os.environ, "PATH": path, "HF_HUB_CACHE": str(place / "hub")})
                        self.assertEqual(done.returncode, 0, done.stderr.decode())
                        self.assertTrue(done.stdout)
                        ran += 1
        self.assertGreaterEqual(ran, 8)

    def test_every_flag_is_documented_once(self):
        rows = re.findall(r"^\| (`-.*?) \|", sections()["Flags"], re.M)
        documented = collections.Counter(flag for row in rows for flag in re.findall(r"`(-[-\w]+)`", row))
        helped = set()
        for command in ("run", "worker"):
            for line in potluck(command, "--help")[0].splitlines():
                if match := re.match(r"  (-[-\w,]+)", line):
                    helped.update(match[1].split(","))
        helped -= {"-h", "--help", "--version"}
        self.assertEqual({flag: 1 for flag in sorted(helped)}, dict(sorted(documented.items())))


if __name__ == "__main__":
    unittest.main()
