"""Two machines: README's own lines in two network namespaces, and what the kernel counts on the wire between them."""
import contextlib
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
from relays import ids_as_sent, pieces_of
from rings import NANO, PATIENCE, POTLUCK, SOURCE

HERE, THERE = f"potluck-here-{os.getpid()}", f"potluck-there-{os.getpid()}"
# Keeps what passes on the wire, in both directions; its first line says that it does.
SNIFF = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("wire0", 0))
wire.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
print("ready", flush=True)
with open(sys.argv[1], "wb") as file:
    while True:
        file.write(wire.recv(1 << 18)[66:])
        file.flush()
"""
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
        self.keys = {name: self.key(name, place) for name, place in ((HERE, self.here), (THERE, self.there))}

    @staticmethod
    def env(folder):
        return {**os.environ, "XDG_CONFIG_HOME": str(folder / "settings")}

    def key(self, name, folder):
        return subprocess.run(["ip", "netns", "exec", name, POTLUCK, "key"], env=self.env(folder), text=True, check=True,
                              capture_output=True).stdout.strip()  # fmt: skip

    def with_keys(self, text):
        """README's words for what `potluck key` shows, replaced by that."""
        for address, name in (("10.0.0.3", HERE), ("10.0.0.4", THERE)):
            text = text.replace(f"KEY-OF-{address}", self.keys[name])
        return text

    def start(self, name, folder, words):
        assert words[0] == "potluck", words
        run = subprocess.Popen(["ip", "netns", "exec", name, POTLUCK, *words[1:]], cwd=folder, text=True, env=self.env(folder),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        self.addCleanup(run.communicate)
        self.addCleanup(run.send_signal, signal.SIGTERM)
        return run

    def answer(self, words):
        done = subprocess.run(["ip", "netns", "exec", HERE, POTLUCK, *words[1:]], cwd=self.here, text=True,
                              env=self.env(self.here), capture_output=True, timeout=5 * PATIENCE)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_readme_lines_answer_with_the_model_at_two_paths(self):
        (_, worker), (_, plan), (_, run) = section("On two machines")
        show, worker = worker.splitlines()
        self.assertEqual(show, "potluck key")
        worker, run = shlex.split(self.with_keys(worker)), shlex.split(run)
        model_there = self.there / worker[worker.index("-m") + 1]
        model_here = self.here / run[run.index("-m") + 1]
        self.assertNotEqual(model_there.relative_to(self.there), model_here.relative_to(self.here))
        for model in (model_there, model_here):
            model.parent.mkdir(exist_ok=True)
            deep_gguf.deepen(NANO, model, RELEASED_LAYERS)
        (self.here / run[run.index("--plan") + 1]).write_text(self.with_keys(plan))
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
                                                "--allow", self.keys[HERE]])  # fmt: skip
        worker.stdout.readline()
        plan = self.here / "plan.yaml"
        plan.write_text("version: 1\ncontext: 512\nhead:\n  start: here\nstages:\n  - start: here\n    layers: 0:2\n"
                        f"  - endpoint: tcp://10.0.0.4:7000\n    key: {self.keys[THERE]}\n    layers: 2:4\n")  # fmt: skip
        words = ["potluck", "run", "-m", model, "-p", "hi", "--raw", "-s", "1", "--plan", "plan.yaml",
                 "--json", "--steps"]  # fmt: skip
        sent, steps = [], []
        for most in ("1", "12"):
            before = self.sent()
            steps.append(json.loads(self.answer([*words, most]).stdout)["steps"][0])
            sent.append(self.sent() - before)
        a_step, hop = (sent[1] - sent[0]) / (steps[1] - steps[0]), HIDDEN * CANVAS * 2
        print(f"a hop of {hop} bytes: the kernel sent {a_step:.0f}, {100 * (a_step / hop - 1):.1f} % more")
        self.assertGreaterEqual(a_step, hop)
        self.assertLessEqual(a_step, 1.06 * hop)

    @contextlib.contextmanager
    def captured(self, file):
        """All that passes on the wire meanwhile, in a file."""
        sniff = subprocess.Popen(["ip", "netns", "exec", HERE, sys.executable, "-c", SNIFF, str(file)], stdout=subprocess.PIPE)
        self.assertEqual(sniff.stdout.readline(), b"ready\n")
        yield
        sniff.terminate()
        sniff.communicate()

    def test_a_capture_shows_no_token_no_activation_and_no_key(self):
        model = "synthetic:nano?layers=4&hidden=256&canvas=64&vocab=512&seed=1"
        captures = []
        for lock in ([f"    key: {self.keys[THERE]}\n"], []):
            flags = ["--allow", self.keys[HERE]] if lock else ["--insecure-plaintext"]
            workers = [self.start(THERE, self.there, ["potluck", "worker", "-m", model, "--listen",
                                                      f"tcp://10.0.0.4:{port}", *flags]) for port in (7000, 7001)]  # fmt: skip
            for worker in workers:
                worker.stdout.readline()
            (self.here / "plan.yaml").write_text(
                "version: 1\ncontext: 512\nhead:\n    endpoint: tcp://10.0.0.4:7000\n" + "".join(lock)
                + "stages:\n  - start: here\n    layers: 0:2\n  - endpoint: tcp://10.0.0.4:7001\n" + "".join(lock)
                + "    layers: 2:4\n")  # fmt: skip
            file = self.here / "capture"
            with self.captured(file):
                self.answer(["potluck", "run", "-m", model, "-p", "hello there", "--raw", "-s", "1", "--plan", "plan.yaml",
                             "--steps", "4", *([] if lock else flags)])  # fmt: skip
            captures.append(file.read_bytes())
            for worker in workers:
                worker.terminate()
                worker.communicate()
        locked, plain = captures
        tokens = ids_as_sent("-m", model, prompt="hello there")
        for word in (tokens, b"potluck 0.", *pieces_of(plain)):
            self.assertNotIn(word, locked)
        self.assertIn(tokens, plain)
        self.assertGreater(len(pieces_of(plain)), 100)
        for folder, key in ((self.here, self.keys[HERE]), (self.there, self.keys[THERE])):
            secret = (folder / "settings/potluck/key").read_text().splitlines()[-1]
            for each in (key, secret):
                self.assertNotIn(bytes.fromhex(each), locked)
                self.assertNotIn(each.encode(), locked)


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
