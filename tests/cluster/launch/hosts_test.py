"""Four machines that only `potluck up -f` knows of: from nothing to an answer and back, and killed at any moment."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import namespaces
from namespaces import Machine, cable
from rings import PATIENCE, POTLUCK, answer, wait_until
from up_test import ASK, mine, potluck_in

NAMES = ("desk", "nas", "shed", "den")
SPARE = "attic"
# Each of its stages of two layers takes 19.3 MB, one of three 20.
MODEL = "synthetic:nano?layers=6&hidden=512&vocab=2048&canvas=32&seed=3"
# Called as rsh is: joins the words behind the host, and has a shell there read them. A host whose file off-HOST is there
# does not answer.
AGENT = """#!/bin/sh
host=$1; shift
[ -e FOLDER/off-$host ] && { echo "no route to host" >&2; exit 255; }
export XDG_CONFIG_HOME=FOLDER/$host
exec ip netns exec "NAMESPACE-$host-PID" sh -c "$*"
"""


class Lan(unittest.TestCase):
    """Machines at one switch, and the cluster file of them. The names are those of a test's own machines."""

    names = NAMES

    def setUp(self):
        self.switch = Machine(self, "switch")
        self.folder = self.switch.folder
        self.switch.ip("link", "add", "bridge0", "type", "bridge")
        self.switch.ip("link", "set", "bridge0", "up")
        self.machines = {name: Machine(self, name) for name in self.names}
        for i, (name, machine) in enumerate(self.machines.items()):
            cable(machine, "lan0", self.switch, f"port{i}")
            machine.address("lan0", f"10.78.0.{1 + i}/24")
            self.switch.ip("link", "set", f"port{i}", "up", "master", "bridge0")
        (self.folder / "tmp").mkdir()
        self.agent = self.folder / "agent"
        self.agent.write_text(AGENT.replace("FOLDER", str(self.folder)).replace("NAMESPACE", "potluck")
                              .replace("PID", str(os.getpid())))  # fmt: skip
        self.agent.chmod(0o755)
        self.shell = ["--ssh", str(self.agent)]
        self.env = {"XDG_STATE_HOME": f"{self.folder}/state", "XDG_CONFIG_HOME": f"{self.folder}/desk",
                    "TMPDIR": f"{self.folder}/tmp"}  # fmt: skip
        self.addCleanup(self.end_all)
        self.cluster = self.write_cluster()

    def end_all(self):
        for pid in mine(str(self.folder)):
            os.kill(pid, signal.SIGKILL)

    def write_cluster(self, options="context: 512", more=""):
        """The first is the head, and each of the others has room for two of the six layers."""
        text = f"version: 1\nmodel: \"{MODEL}\"\nnetwork: {{latency: 0.2ms, bandwidth: 1gbit}}\n"
        text += f"options: {{{options}}}\nhosts:\n"
        for i, name in enumerate(self.names):
            place, role = ("here: true", "head") if i == 0 else (f"ssh: {name}", "[layers, no-head]")
            role = "spare" if name == SPARE else role
            text += (f"  - name: {name}\n    {place}\n    addresses: [10.78.0.{1 + i}]\n    program: {POTLUCK}\n"
                     f"    devices:\n      - device: cpu\n        role: {role}\n        memory: 19.6MB\n"
                     f"        speed: {{sliding_layer: {1 + i}ms, full_layer: {1 + i}ms, head: 5ms}}\n{more}")  # fmt: skip
        path = self.folder / "cluster.yaml"
        path.write_text(text)
        return str(path)

    def command(self, *words):
        return ["ip", "netns", "exec", self.machines["desk"].namespace, POTLUCK, *words]

    def potluck(self, *words, code=0):
        done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=2 * PATIENCE, env={**os.environ, **self.env})  # fmt: skip
        assert code is None or done.returncode == code, f"{words}: exit {done.returncode}; {done.stderr}"
        return done.stdout, done.stderr

    def up(self, code=0):
        return self.potluck("up", "-f", self.cluster, *self.shell, code=code)

    def left_on(self, machine):
        return subprocess.run(["ip", "netns", "pids", machine.namespace], capture_output=True, text=True).stdout.split()

    def assert_nothing_left(self):
        wait_until(lambda: not mine(str(self.folder)), "the end of all processes")
        for machine in self.machines.values():
            wait_until(lambda: not self.left_on(machine), f"the end of all processes on {machine.name}")
        self.assertEqual([p.name for p in (self.folder / "state/potluck").iterdir()], [])
        self.assertEqual(list((self.folder / "tmp").iterdir()), [])


class Hosts(Lan):
    moments = 10  # at which `up` is killed

    def test_from_nothing_to_an_answer_and_back(self):
        _, err = self.up()
        for name in NAMES:
            self.assertRegex(err, f"{name}.*loaded in")
        got = json.loads(self.potluck(*ASK)[0])
        self.assertEqual(got["ids"], answer("-n", "64", "--steps", "4", "--stages", "2", "-c", "512", model=MODEL)["ids"])
        status = json.loads(self.potluck("status", "--json")[0])
        self.assertEqual({w["host"] for w in status["workers"]}, {"", "nas", "shed", "den"})
        self.assertIn("coordinator connected", self.potluck("logs", "nas")[0])
        self.potluck("down")
        self.assert_nothing_left()

    def test_one_command_starts_the_cluster_asks_it_and_ends_it(self):
        out, _ = self.potluck(*ASK, "--cluster", self.cluster, *self.shell)
        self.assertEqual(json.loads(out)["ids"], answer("-n", "64", "--steps", "4", "--stages", "2", "-c", "512", model=MODEL)["ids"])
        wait_until(lambda: not mine(str(self.folder)), "the end of all processes")

    def test_a_host_that_cannot_be_reached_and_one_without_potluck_are_named(self):
        broken = self.folder / "broken"
        broken.write_text("#!/bin/sh\necho no route to host >&2\nexit 255\n")
        broken.chmod(0o755)
        _, err = self.potluck("up", "-f", self.cluster, "--ssh", str(broken), code=3)
        self.assertIn("does not reach nas: no route to host", err)
        text = pathlib.Path(self.cluster).read_text()
        pathlib.Path(self.cluster).write_text(text.replace(f"program: {POTLUCK}", "program: /nowhere/potluck"))
        _, err = self.up(code=3)
        self.assertIn("nas has no /nowhere/potluck", err)
        self.assert_nothing_left()

    def test_killed_at_any_moment_it_cleans_up_when_it_is_started_next(self):
        begin = time.monotonic()
        self.up()
        took = time.monotonic() - begin
        self.potluck("down")
        for i in range(self.moments):
            up = subprocess.Popen(self.command("up", "-f", self.cluster, *self.shell), start_new_session=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env={**os.environ, **self.env})  # fmt: skip
            time.sleep(took * (i + 0.5) / self.moments)
            for pid in self.potlucks() if i % 2 else [up.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            up.wait()
            self.up(code=None)  # what was ready before its `up` was killed stays up
            self.potluck(*ASK)
            self.potluck("down")
            self.assert_nothing_left()

    def potlucks(self):
        """`up` itself, and the coordinator that it has left in the background."""
        found = []
        for pid in mine(str(self.folder)):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except FileNotFoundError:
                continue
            if b"up" in words[:2]:
                found.append(pid)
        return found


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
