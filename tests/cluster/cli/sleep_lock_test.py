"""A worker keeps its machine awake exactly as long as it is a part of a ring."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import mdns_daemons
from namespaces import SKIPPED
from rings import SLOW, Running, plan_text, potluck, wait_until

LOGIND = os.environ["FAKE_LOGIND"]
PLAIN = "--insecure-plaintext"


class Desk:
    """This machine, with a bus of its own."""

    def __init__(self, test):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.folder, self.env = pathlib.Path(folder.name), {}
        self.test = test

    def start(self, *command):
        log = open(self.folder / pathlib.Path(command[0]).name, "w+", encoding="utf-8")
        self.test.addCleanup(log.close)
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **self.env})

        def end():
            process.kill()
            process.wait()

        self.test.addCleanup(end)
        return pathlib.Path(log.name)

    def start_bus(self):
        config, bus = self.folder / "bus.conf", self.folder / "bus"
        config.write_text(mdns_daemons.BUS.format(bus=bus))
        self.start("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={config}")
        wait_until(bus.exists, "a bus")
        self.env["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={bus}"

    def start_logind(self, *words):
        said = self.start(LOGIND, *words)
        wait_until(lambda: "ready" in said.read_text(), "logind")
        return said


class SleepLock(unittest.TestCase):
    def setUp(self):
        self.desk = Desk(self)

    def worker(self):
        run = Running("worker", "-m", SLOW, "--listen", "tcp://127.0.0.1:*", PLAIN, env=self.desk.env)
        self.enterContext(run)
        return run, run.wait_for_endpoint()

    def ask(self, endpoint):
        plan = self.desk.folder / "plan.yaml"
        plan.write_text(plan_text(None, (endpoint, "0:6")))
        potluck("run", "-m", SLOW, "--plan", str(plan), PLAIN, "-p", "hello", "--raw", "-s", "7", "-n", "32", "--steps", "2",
                env=self.desk.env)  # fmt: skip

    def test_it_is_taken_with_the_ring_and_given_back_with_it(self):
        self.desk.start_bus()
        said = self.desk.start_logind()
        run, endpoint = self.worker()
        for round in (1, 2):
            self.assertEqual(said.read_text().count("by potluck, block"), 2 * (round - 1))
            self.ask(endpoint)  # its own head takes one as well
            wait_until(lambda: said.read_text().count("released") == 2 * round, "both locks' release")
        self.assertIn("lock sleep:idle by potluck, block: it holds a part", said.read_text())
        self.assertNotIn("fall asleep", run.stderr())

    def test_a_worker_that_dies_gives_it_back(self):
        self.desk.start_bus()
        said = self.desk.start_logind()
        run, endpoint = self.worker()
        self.ask_in_background(endpoint)
        wait_until(lambda: "lock" in said.read_text(), "a lock")
        run.process.kill()
        wait_until(lambda: "released" in said.read_text(), "its release")

    def ask_in_background(self, endpoint):
        plan = self.desk.folder / "plan.yaml"
        plan.write_text(f"version: 1\ncontext: 512\nhead: {{endpoint: {endpoint}}}\nstages: [{{start: here, layers: 0:6}}]\n")
        self.enterContext(Running("run", "-m", SLOW, "--plan", str(plan), PLAIN, "-p", "hello", "--raw", "-s", "7", "-n",
                                  "400"))  # fmt: skip

    def test_where_it_cannot_be_taken_that_is_said_and_the_ring_runs(self):
        run, endpoint = self.worker_without_bus()
        self.ask(endpoint)
        self.assertIn("this machine may fall asleep while it is in a ring (there is no system bus", run.stderr())
        self.desk.start_bus()
        self.desk.start_logind("refuse")
        run, endpoint = self.worker()
        self.ask(endpoint)
        self.assertIn("this machine may fall asleep while it is in a ring (Permission denied)", run.stderr())

    def worker_without_bus(self):
        self.desk.env["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={self.desk.folder}/nothing"
        return self.worker()


if __name__ == "__main__":
    if not mdns_daemons.are_there():
        print(mdns_daemons.WHY)
        sys.exit(SKIPPED)
    unittest.main()
