"""Rings that lose workers at any moment: the same ids, and what was committed stays. MOMENTS says how many a worker."""
import json
import os
import random
import signal
import subprocess
import time
import unittest

import namespaces
from namespaces import Machine, cable
from rings import PATIENCE, SLOW, Running, answer, wait_until, workers_of

MOMENTS = int(os.environ.get("MOMENTS", "2"))
RINGS = [int(n) for n in os.environ.get("RINGS", "3").split()]  # workers of each
ASK = ("-n", "64", "--steps", "40", "-c", "512")
LONG = ("-n", "64", "--steps", "255", "-c", "512")
RUN = ("run", "-m", SLOW, "-p", "hello there", "--raw", "-s", "7", "--json")
PORT = 7000


def names_of(workers):
    return ["head"] + [f"stage {i}" for i in range(workers - 1)]


def wait_until_loading(run):
    """Until the first worker has loaded its part."""
    wait_until(lambda: " free on " in run.stderr() or run.process.poll() is not None, "a worker to load")


class Recovery(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        began = time.monotonic()
        found = answer(*ASK, "--stages", "2")
        cls.seconds = time.monotonic() - began
        cls.expected, cls.steps = found["ids"], found["steps"]
        assert len(cls.steps) == 2, cls.steps

    def check(self, run, victim, stalls=None):
        """Right ids; if the loss fell into the answer, a stall whose parts are all there."""
        self.assertEqual(run.wait(), 0, run.stderr())
        found = json.loads(run.stdout())
        self.assertEqual(found["ids"], self.expected, run.stderr())
        self.assertEqual(found["steps"], self.steps)
        self.assertEqual(len(found["step_ms"]), sum(self.steps))
        for stall in found["stalls"]:
            self.assertIn(victim, stall["why"])
            parts = [stall[f"{part}_seconds"] for part in ("detect", "replan", "load", "encode", "lost")]
            self.assertGreaterEqual(min(parts), 0, stall)
            self.assertAlmostEqual(sum(parts), stall["seconds"], places=3)
            self.assertIn(f"stalled for {stall['seconds']:.2f} s: detect", run.stderr())
        if stalls is not None:
            self.assertEqual(len(found["stalls"]), stalls, run.stderr())
        return found["stalls"]

    def test_a_worker_that_is_killed_or_stopped_changes_no_id(self):
        rng, stalls, slowest = random.Random(3), 0, 0
        for workers in RINGS:
            for victim in names_of(workers):
                for moment in range(MOMENTS):
                    number = (signal.SIGKILL, signal.SIGSTOP)[moment % 2]
                    with self.subTest(workers=workers, victim=victim, number=number, moment=moment), \
                            Running(*RUN, *ASK, "--stages", str(workers - 1)) as run:  # fmt: skip
                        wait_until_loading(run)
                        time.sleep(rng.random() * self.seconds)
                        pid = workers_of(run.session).get(victim)
                        if pid:
                            os.kill(pid, number)
                        found = self.check(run, victim)
                        stalls += len(found)
                        slowest = max([slowest] + [stall["seconds"] for stall in found])
        print(f"killed and stopped workers: {stalls} stalls, the longest {slowest:.2f} s")
        self.assertGreater(stalls, 0)

    def test_two_losses_in_a_row_change_no_id(self):
        with Running(*RUN, *ASK, "--stages", "3", "--show", "text") as run:
            run.wait_for_steps()
            for victim in ("stage 1", "head"):
                os.kill(wait_until(lambda: workers_of(run.session).get(victim), victim), signal.SIGKILL)
                time.sleep(0.02)
            self.check(run, "")

    def test_a_worker_that_ends_each_time_it_is_started_ends_the_answer_in_one_line(self):
        with Running(*RUN, *LONG, "--stages", "1", "--host", "processes", "--show", "text") as run:
            run.wait_for_steps()
            killed = set()
            while run.process.poll() is None:
                pid = workers_of(run.session).get("stage 0")
                if pid and pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                time.sleep(0.002)
            self.assertEqual(run.wait(), 3)
            self.assertGreaterEqual(len(killed), 2, run.stderr())
            last = run.stderr().strip().splitlines()[-1]
            self.assertRegex(last, "^potluck: .*lost .*stage 0.*: a ring needs two workers, and head is left")

    def test_without_recovery_a_loss_is_the_end(self):
        with Running(*RUN, *ASK, "--stages", "2", "--show", "text", "--no-recovery") as run:
            run.wait_for_steps()
            os.kill(workers_of(run.session)["stage 1"], signal.SIGKILL)
            self.assertEqual(run.wait(), 3)
            self.assertIn("lost", run.stderr().strip().splitlines()[-1])


class OtherMachines(unittest.TestCase):
    """A coordinator and workers that nobody starts again, each at a cable of its own."""

    def setUp(self):
        if not namespaces.can_be_made():
            self.skipTest("network namespaces cannot be made here")
        self.expected = answer(*LONG)["ids"]
        self.here = Machine(self, "here")
        self.here.sets("net.ipv4.ip_forward", 1)
        self.machines, self.runs = {}, {}

    def add(self, name, *arguments):
        number = len(self.machines) + 1
        machine = self.machines[name] = Machine(self, name)
        cable(self.here, f"to{number}", machine, "lan0")
        self.here.address(f"to{number}", f"10.0.{number}.1/24")
        machine.address("lan0", f"10.0.{number}.2/24")
        machine.ip("route", "add", "default", "via", f"10.0.{number}.1")
        host = f"10.0.{number}.2"
        run = subprocess.Popen(machine.command("worker", "-m", SLOW, "--listen", f"tcp://{host}:{PORT}", "-t", "1",
                                               "--insecure-plaintext", *arguments),
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill)
        self.assertIn("listening on", run.stdout.readline())
        self.runs[name] = run
        return {"name": name, "endpoint": f"tcp://{host}:{PORT}"}

    def ask(self, workers, *arguments):
        head, *stages = workers
        cuts = [6 * i // len(stages) for i in range(len(stages) + 1)]
        plan = {"version": 1, "context": 512, "head": head,
                "stages": [{**stage, "layers": f"{a}:{b}"} for stage, a, b in zip(stages, cuts, cuts[1:])]}  # fmt: skip
        (self.here.folder / "plan.yaml").write_text(json.dumps(plan))
        words = self.here.command(*RUN, *LONG, "--plan", self.here.folder / "plan.yaml", "--insecure-plaintext", "--show",
                                  "text", *arguments)  # fmt: skip
        run = subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(run.kill)
        return run

    def wait_for_steps(self, run):
        said = ""
        while "first step" not in said:
            line = run.stderr.readline()
            self.assertTrue(line, said)
            said += line
        return said

    def end(self, run, code=0):
        out, said = run.communicate(timeout=5 * PATIENCE)
        self.assertEqual(run.returncode, code, said)
        return out, said

    def check_unplugged(self, workers, victim, after):
        run = self.ask(workers)
        self.wait_for_steps(run)
        time.sleep(after)
        self.machines[victim].ip("link", "set", "lan0", "down")
        try:
            out, said = self.end(run)
        finally:
            self.machines[victim].ip("link", "set", "lan0", "up")
            self.machines[victim].ip("route", "replace", "default", "via", self.gateway(victim))
        found = json.loads(out)
        self.assertEqual(found["ids"], self.expected, said)
        return found["stalls"], said

    def seconds_of(self, ring):
        """How long an answer takes from its first step on."""
        run = self.ask(ring)
        self.wait_for_steps(run)
        began = time.monotonic()
        self.end(run)
        return time.monotonic() - began

    def gateway(self, victim):
        return f"10.0.{list(self.machines).index(victim) + 1}.1"

    def test_a_worker_that_is_unplugged_changes_no_id(self):
        rng, slowest, stalls = random.Random(5), 0, 0
        for workers in RINGS:
            ring = [self.add(f"m{workers}{i}") for i in range(workers)]
            seconds = self.seconds_of(ring)
            for victim in ring:
                for moment in range(max(1, MOMENTS // 2)):
                    with self.subTest(workers=workers, victim=victim["name"], moment=moment):
                        found, said = self.check_unplugged(ring, victim["name"], rng.random() * seconds)
                        for stall in found:
                            self.assertIn("lost", stall["why"])
                            slowest = max(slowest, stall["seconds"])
                        stalls += len(found)
        print(f"unplugged workers: {stalls} stalls, the longest {slowest:.2f} s")
        self.assertGreater(stalls, 0)

    def test_the_cpu_of_this_machine_is_the_last_resort(self):
        head, stage = self.add("head"), self.add("stage")
        run = self.ask([head, stage])
        self.wait_for_steps(run)
        for name in ("head", "stage"):
            self.runs[name].kill()
        out, said = self.end(run)
        self.assertEqual(json.loads(out)["ids"], self.expected, said)
        self.assertIn("the CPU of this machine becomes stage here", said)


if __name__ == "__main__":
    unittest.main()
