"""Rings of a cluster file whose hosts fall silent, lose workers and come back: the same ids, by the devices of that file."""
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

import namespaces
from hosts_test import MODEL, NAMES, SPARE, Lan
from rings import PATIENCE, POTLUCK, answer, wait_until
from up_test import ASK

LONG = ("-n", "64", "--steps", "120")
MOMENTS = int(os.environ.get("MOMENTS", "0"))  # at which each worker is lost, in each way; 0: one of them at one
RUN = ("run", "-p", "hello there", "--raw", "--json", "-s", "7", *LONG, "--show", "text")


class Losses(Lan):
    names = (*NAMES, SPARE)

    @classmethod
    def setUpClass(cls):
        cls.expected = answer(*LONG, "--stages", "2", "-c", "512", model=MODEL)["ids"]

    def pids(self, name):
        found = subprocess.run(["ip", "netns", "pids", self.machines[name].namespace], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def words_of(self, pid):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")

    def kill_workers(self, name):
        for pid in self.pids(name):
            os.kill(pid, signal.SIGKILL)

    def silence(self, name):
        """Nobody answers there any more: neither the remote shell nor what runs already."""
        (self.folder / f"off-{name}").touch()
        self.machines[name].ip("link", "set", "lan0", "down")

    def plug_in(self, name):
        (self.folder / f"off-{name}").unlink()
        self.machines[name].ip("link", "set", "lan0", "up")

    def begin(self, *words):
        run = subprocess.Popen(self.command(*RUN, "--cluster", self.cluster, *self.shell, *words), text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, **self.env})  # fmt: skip
        self.addCleanup(run.kill)
        self.said = ""
        while "first step" not in self.said:
            line = run.stderr.readline()
            self.assertTrue(line, self.said)
            self.said += line
        return run

    def end(self, run):
        out, said = run.communicate(timeout=2 * PATIENCE)
        self.assertEqual(run.returncode, 0, self.said + said)
        found = json.loads(out)
        self.assertEqual(found["ids"], self.expected, said)
        self.assertGreaterEqual(len(found["stalls"]), 1, said)
        self.assertIn("stalled for", said)
        return said

    def workers(self):
        return {w["name"] for w in json.loads(self.potluck("status", "--json")[0])["workers"]}

    def ask_alone(self):
        got = json.loads(self.potluck(*RUN, "--cluster", self.cluster, *self.shell)[0])
        self.assertEqual(got["ids"], self.expected)

    def ask(self):
        got = json.loads(self.potluck(*RUN)[0])
        self.assertEqual(got["ids"], self.expected)

    def test_a_worker_that_is_killed_is_started_again_on_its_host(self):
        run = self.begin()
        self.kill_workers("nas")
        said = self.end(run)
        self.assertIn("starting nas again", said)
        self.assertIn("the ring goes on as desk, ", said)
        self.assertNotIn(SPARE, said)

    def lose(self, name, way):
        """A worker, as it loads or computes, or its whole host."""
        if way == "unplugged":
            return self.silence(name)
        for pid in self.pids(name):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if "worker" in self.words_of(pid)[:2]:
                    os.kill(pid, signal.SIGKILL if way == "killed" else signal.SIGSTOP)

    def find_again(self, name):
        for pid in self.pids(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if (self.folder / f"off-{name}").exists():
            self.plug_in(name)

    def lost_at(self, name, way, moment):
        """How often the answer stalled for it."""
        run = subprocess.Popen(self.command(*RUN, "--cluster", self.cluster, *self.shell), text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, **self.env})  # fmt: skip
        try:
            time.sleep(moment)
            self.lose(name, way)
            out, said = run.communicate(timeout=3 * PATIENCE)  # a worker may say nothing for 60 s before it is done without
        finally:
            run.kill()
            self.find_again(name)
        self.assertEqual(run.returncode, 0, said)
        found = json.loads(out)
        self.assertEqual(found["ids"], self.expected, said)
        return len(found["stalls"])

    def test_a_loss_at_any_moment_changes_no_id(self):
        begin, rng = time.monotonic(), random.Random(11)
        self.ask_alone()
        seconds = time.monotonic() - begin
        for way in ("killed", "stopped", "unplugged"):
            stalls = 0
            names = NAMES if way != "unplugged" else NAMES[1:]
            for name in MOMENTS * names or rng.sample(names, 1):
                moment = rng.uniform(0, seconds)
                with self.subTest(way=way, name=name, moment=round(moment, 2)):
                    stalls += self.lost_at(name, way, moment)
            print(f"{way}: {stalls} stalls")

    def test_a_spare_takes_over_from_a_host_that_does_not_answer(self):
        run = self.begin()
        (self.folder / "off-nas").touch()
        self.kill_workers("nas")
        said = self.end(run)
        self.assertIn("nas does not start and is done without: ", said)
        self.assertIn("no route to host", said)
        self.assertRegex(said, f"the ring goes on as desk, .*{SPARE} ")

    def test_a_host_that_is_unplugged_leaves_and_comes_back(self):
        self.up()
        self.assertEqual(self.workers(), set(NAMES))
        self.silence("shed")
        wait_until(lambda: SPARE in self.workers(), "the spare to take over")
        self.ask()
        self.plug_in("shed")
        wait_until(lambda: self.workers() == set(NAMES), "the host to be taken back, and the spare to be let go")
        self.ask()
        self.potluck("down")
        self.assert_nothing_left()

    def test_up_goes_on_without_a_host_that_is_not_reached(self):
        for reached_by_shell in (False, True):
            with self.subTest(reached_by_shell=reached_by_shell):
                self.silence("den")
                if reached_by_shell:
                    (self.folder / "off-den").unlink()
                _, err = self.up()
                self.assertRegex(err, "warning: den .*done without|no link from here to worker den")
                self.assertEqual(self.workers(), {"desk", "nas", "shed", SPARE})
                self.ask()
                self.potluck("down")
                (self.folder / "off-den").touch()
                self.plug_in("den")
        self.assert_nothing_left()

    def test_a_plan_that_is_given_needs_all_its_hosts(self):
        plan = str(self.folder / "plan.yaml")
        self.potluck("plan", "--cluster", self.cluster, "--emit", plan)
        (self.folder / "off-den").touch()
        _, err = self.potluck("up", "-f", self.cluster, "--plan", plan, *self.shell, code=3)
        self.assertIn("does not reach den: no route to host", err)

    def test_a_plan_that_is_given_has_no_head_that_the_cluster_keeps_from_it(self):
        path = self.folder / "plan.yaml"
        path.write_text("version: 1\nhead: {name: nas, endpoint: 'tcp://10.78.0.2:7000'}\n"
                        "stages:\n  - {name: desk, start: here, layers: 0:6}\n")  # fmt: skip
        _, err = self.potluck("up", "-f", self.cluster, "--plan", str(path), *self.shell, code=2)
        self.assertIn(f"the plan's head is \"nas\", which {self.cluster} keeps from prompts and answers; choose another", err)

    def test_the_most_steps_a_second_have_as_many_sessions_as_they_need(self):
        self.cluster = self.write_cluster("context: 64, objective: throughput")
        self.up()
        status = json.loads(self.potluck("status", "--json")[0])
        self.assertGreater(status["sessions"], 1)
        self.potluck("down")

    def test_a_device_yields_as_the_file_says_wherever_its_worker_is(self):
        yields = "        yield: {hours: \"00:00-24:00\", temperature: 99}\n"
        self.cluster = self.write_cluster(more=yields)
        self.up()
        for name in ("desk", "nas"):
            found = [w for w in map(self.words_of, self.pids(name)) if "worker" in w[:2]]
            self.assertEqual([w[w.index("--yield") + 1] for w in found], ["hours=00:00-24:00,temperature=99"], name)
        self.ask()
        self.potluck("down")
        self.assert_nothing_left()

    def test_an_emitted_plan_is_run_by_workers_that_stand(self):
        keys = {}
        for name in self.names:
            env = {**os.environ, "XDG_CONFIG_HOME": f"{self.folder}/{name}"}
            keys[name] = subprocess.run([POTLUCK, "key"], env=env, capture_output=True, text=True, check=True).stdout.strip()
        text = pathlib.Path(self.cluster).read_text()
        for name, key in keys.items():
            text = text.replace(f"- name: {name}\n", f"- name: {name}\n    key: \"{key}\"\n")
        pathlib.Path(self.cluster).write_text(text)
        plan = str(self.folder / "plan.yaml")
        _, err = self.potluck("plan", "--cluster", self.cluster, "--emit", plan)
        self.assertRegex(err, r"\Athe plan is written; run it with: .*\n\Z")
        for i, name in enumerate(NAMES[1:]):
            words = ["ip", "netns", "exec", self.machines[name].namespace, POTLUCK, "worker", "-m", MODEL, "--listen",
                     f"tcp://10.78.0.{2 + i}:7000", "--allow", keys["desk"]]  # fmt: skip
            worker = subprocess.Popen(words, env={**os.environ, "XDG_CONFIG_HOME": f"{self.folder}/{name}"}, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
            self.addCleanup(worker.communicate)
            self.addCleanup(worker.kill)
            self.assertIn("listening on", worker.stdout.readline())
        out, _ = self.potluck(*ASK, "-m", MODEL, "--plan", plan)
        expected = answer("-n", "64", "--steps", "4", "--stages", "2", "-c", "512", model=MODEL)["ids"]
        self.assertEqual(json.loads(out)["ids"], expected)
        self.potluck("up", "-m", MODEL, "--plan", plan)
        places = {w["name"]: w["host"] for w in json.loads(self.potluck("status", "--json")[0])["workers"]}
        self.assertEqual(places, {"desk": "", **{name: f"10.78.0.{2 + i}" for i, name in enumerate(NAMES[1:])}})
        self.assertRegex(self.potluck("status")[0], "(?m)^  nas .* 10.78.0.2$")
        self.assertEqual(json.loads(self.potluck(*ASK)[0])["ids"], expected)
        self.potluck("down")


class Moves(Lan):
    """A machine alone: its workers listen where others could reach them."""

    names = NAMES[:1]

    def places(self):
        return {w["endpoint"].rsplit(":", 1)[0] for w in json.loads(self.potluck("status", "--json")[0])["workers"]}

    def test_a_machine_that_gets_another_address_or_loses_it_answers_as_before(self):
        out, _ = self.potluck("up", "-m", MODEL, "--stages", "2", "--listen", "*:7118")
        self.assertIn("--connect 10.78.0.1:7118 --key", out)
        self.assertEqual(self.places(), {"tcp://10.78.0.1"})
        expected = answer("-n", "64", "--steps", "4", "--stages", "2", model=MODEL)["ids"]
        for address, places in (("10.78.0.9/24", {"tcp://10.78.0.9"}), (None, {"ipc"})):
            self.machines["desk"].ip("address", "flush", "dev", "lan0")
            if address:
                self.machines["desk"].ip("address", "add", address, "dev", "lan0")
            wait_until(lambda: self.places() == places, f"workers at {places}")
            self.assertEqual(json.loads(self.potluck(*ASK)[0])["ids"], expected)


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
