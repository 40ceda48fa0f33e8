"""Two machines: README's own lines in two network namespaces, and what the kernel counts on the wire between them."""
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import unittest

import deep_gguf
import namespaces
from namespaces import ip
from rings import NANO, PATIENCE, POTLUCK, SOURCE

HERE, THERE = f"potluck-here-{os.getpid()}", f"potluck-there-{os.getpid()}"
RELEASED_LAYERS = 30
HIDDEN, CANVAS = 2816, 256


def section(heading):
    """README's fenced blocks under a heading: [(language, text)]."""
    text = (SOURCE / "README.md").read_text().split(f"\n### {heading}\n")[1]
    return re.findall(r"```(\w+)\n(.*?)```", re.split(r"\n###? ", text)[0], re.S)


class TwoMachines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for name in (HERE, THERE):
            ip("netns", "add", name)
            cls.addClassCleanup(ip, "netns", "delete", name)
        ip("link", "add", "wire0", "netns", HERE, "type", "veth", "peer", "name", "wire0", "netns", THERE)
        for name, address in ((HERE, "10.0.0.3"), (THERE, "10.0.0.4")):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "wire0")
            ip("-n", name, "link", "set", "wire0", "up")
            ip("-n", name, "link", "set", "lo", "up")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.here, self.there = pathlib.Path(folder.name, "here"), pathlib.Path(folder.name, "there")
        for place in (self.here, self.there):
            place.mkdir()

    def start(self, name, folder, words):
        assert words[0] == "potluck", words
        run = subprocess.Popen(["ip", "netns", "exec", name, POTLUCK, *words[1:]], cwd=folder, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        self.addCleanup(run.communicate)
        self.addCleanup(run.send_signal, signal.SIGTERM)
        return run

    def answer(self, words):
        done = subprocess.run(["ip", "netns", "exec", HERE, POTLUCK, *words[1:]], cwd=self.here, text=True,
                              capture_output=True, timeout=5 * PATIENCE)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_readme_lines_answer_with_the_model_at_two_paths(self):
        (_, worker), (_, plan), (_, run) = section("On two machines")
        worker, run = shlex.split(worker), shlex.split(run)
        model_there = self.there / worker[worker.index("-m") + 1]
        model_here = self.here / run[run.index("-m") + 1]
        self.assertNotEqual(model_there.relative_to(self.there), model_here.relative_to(self.here))
        for model in (model_there, model_here):
            model.parent.mkdir(exist_ok=True)
            deep_gguf.deepen(NANO, model, RELEASED_LAYERS)
        (self.here / run[run.index("--plan") + 1]).write_text(plan)
        self.start(THERE, self.there, worker).stdout.readline()
        found = self.answer([*run, "-s", "1"])
        alone = subprocess.run([POTLUCK, "run", "-m", str(model_here), "-p", run[run.index("-p") + 1], "-s", "1"],
                               text=True, capture_output=True, check=True)  # fmt: skip
        self.assertEqual(found.stdout, alone.stdout)
        self.assertNotEqual(found.stdout.strip(), "")

    def sent(self):
        """Bytes that this machine's kernel sent over the wire."""
        text = subprocess.run(["ip", "netns", "exec", HERE, "cat", "/sys/class/net/wire0/statistics/tx_bytes"],
                              text=True, capture_output=True, check=True).stdout  # fmt: skip
        return int(text)

    def test_the_kernel_counts_little_more_than_the_hops(self):
        model = "synthetic:nano?layers=4&hidden=2816&canvas=256&vocab=512&seed=1"
        worker = self.start(THERE, self.there, ["potluck", "worker", "-m", model, "--listen", "tcp://10.0.0.4:7000",
                                                "--insecure-plaintext"])  # fmt: skip
        worker.stdout.readline()
        plan = self.here / "plan.yaml"
        plan.write_text("version: 1\ncontext: 512\nhead:\n  start: here\nstages:\n  - start: here\n    layers: 0:2\n"
                        "  - endpoint: tcp://10.0.0.4:7000\n    layers: 2:4\n")  # fmt: skip
        words = ["potluck", "run", "-m", model, "-p", "hi", "--raw", "-s", "1", "--plan", "plan.yaml",
                 "--insecure-plaintext", "--json", "--steps"]  # fmt: skip
        sent, steps = [], []
        for most in ("1", "12"):
            before = self.sent()
            steps.append(json.loads(self.answer([*words, most]).stdout)["steps"][0])
            sent.append(self.sent() - before)
        a_step, hop = (sent[1] - sent[0]) / (steps[1] - steps[0]), HIDDEN * CANVAS * 2
        print(f"a hop of {hop} bytes: the kernel sent {a_step:.0f}, {100 * (a_step / hop - 1):.1f} % more")
        self.assertGreaterEqual(a_step, hop)
        self.assertLessEqual(a_step, 1.06 * hop)


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
