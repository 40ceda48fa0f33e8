"""Rings on the ranks of mpirun: the same ids as without it, on one host and over four network namespaces, and an end in one line."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import namespaces
from namespaces import Machine, cable
from rings import PATIENCE, POTLUCK, SLOW, answer, wait_until

SKIPPED = 77
MPIRUN = ("mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1")
ASK = ("run", "-m", SLOW, "-p", "hello there", "--raw", "-s", "7", "--transport", "mpi")
SHORT = ("-n", "64", "--steps", "6")
LONG = ("-n", "900", "--steps", "255", "--show", "text")
WORKER = ("worker", "-m", SLOW, "--transport", "mpi")


def mpirun(*words, before=(), **options):
    return subprocess.Popen([*before, *MPIRUN, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **options)  # fmt: skip


def ranks_of(run):
    """Process ids by rank."""
    text = subprocess.run(["pgrep", "-P", str(run.pid), "potluck"], text=True, capture_output=True).stdout
    return [int(word) for word in text.split()]


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def said(stderr):
    return [line for line in stderr.splitlines() if line.startswith("potluck: ")]


class OneHost(unittest.TestCase):
    def ids(self, *words, **options):
        out, err = mpirun(*words, **options).communicate(timeout=2 * PATIENCE)
        self.assertTrue(out, err)
        return json.loads(out)["ids"]

    def refusal(self, run, code):
        """The one line of a run that cannot work, and the end of all that it started."""
        pids = [run.pid, *ranks_of(run)]
        out, err = run.communicate(timeout=2 * PATIENCE)
        self.assertEqual((run.returncode, out), (code, ""), err)
        self.assertEqual(len(said(err)), 1, err)
        self.assertFalse([pid for pid in pids if is_alive(pid)])
        return said(err)[0]

    def test_the_ids_are_those_of_the_other_transports(self):
        expected = answer(*SHORT)["ids"]
        for transport in ("zmq", "inproc"):
            self.assertEqual(answer(*SHORT, "--stages", "2", "--transport", transport)["ids"], expected)
        for ranks in ("3", "4", "5"):
            self.assertEqual(self.ids("-np", ranks, POTLUCK, *ASK, *SHORT, "--json"), expected)
        self.assertEqual(self.ids("-np", "1", POTLUCK, *ASK, *SHORT, "--json", ":", "-np", "3", POTLUCK, *WORKER),
                         expected)  # fmt: skip

    def test_a_killed_rank_ends_the_job_in_one_line(self):
        for victim, name in ((1, "head (rank 1)"), (2, "stage 0 (rank 2)"), (3, "stage 1 (rank 3)")):
            with self.subTest(name), tempfile.TemporaryFile("w+") as err:
                run = subprocess.Popen([*MPIRUN, "-np", "4", POTLUCK, *ASK, *LONG], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=err)  # fmt: skip
                wait_until(lambda: err.seek(0) == 0 and "first step" in err.read(), "the first step")
                pids = ranks_of(run)
                self.assertEqual(len(pids), 4)
                os.kill(pids[victim], signal.SIGKILL)
                since = time.monotonic()
                self.assertNotEqual(run.wait(60), 0)
                wait_until(lambda: not any(is_alive(pid) for pid in pids), "the ranks to end", 3)
                seconds = time.monotonic() - since
                err.seek(0)
                text = err.read()
                self.assertEqual(len(said(text)), 1, text)
                self.assertIn(f"lost {name}", said(text)[0])
                self.assertLess(seconds, 3)
                print(f"killed {name}: ended after {seconds:.2f} s")

    def test_a_wrong_number_of_ranks_is_one_line(self):
        line = self.refusal(mpirun("-np", "4", POTLUCK, *ASK, "--stages", "3"), 2)
        for part in ("need 5 ranks", "has 4", "mpirun -np 5"):
            self.assertIn(part, line)

    def test_without_mpirun_it_says_how_to_start(self):
        done = subprocess.run([POTLUCK, *ASK], stdin=subprocess.DEVNULL, text=True, capture_output=True)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(said(done.stderr)), 1, done.stderr)
        self.assertIn("mpirun -np 3 potluck run", said(done.stderr)[0])

    def test_what_all_ranks_cannot_do_is_said_once(self):
        line = self.refusal(mpirun("-np", "4", POTLUCK, "run", "-m", "nowhere.gguf", "-p", "hi", "--transport", "mpi"), 2)
        self.assertIn("nowhere.gguf", line)
        self.assertIn("--nonsense", self.refusal(mpirun("-np", "4", POTLUCK, *ASK, "--nonsense"), 2))

    def test_rank_0_is_no_worker(self):
        self.assertIn("rank 0", self.refusal(mpirun("-np", "2", POTLUCK, *WORKER), 2))


class FourMachines(unittest.TestCase):
    def setUp(self):
        if not namespaces.can_be_made():
            self.skipTest(namespaces.WHY)
        self.hub, *others = (Machine(self, str(i)) for i in range(1, 5))
        self.hub.ip("link", "add", "hub", "type", "bridge")
        self.hub.address("hub", "10.9.0.1/24")
        for i, machine in enumerate(others, 2):
            cable(self.hub, f"port{i}", machine, "wire")
            self.hub.ip("link", "set", f"port{i}", "master", "hub", "up")
            machine.address("wire", f"10.9.0.{i}/24")
        for machine in others:
            wait_until(lambda: self.is_up(machine, "wire"), "the wires")
        wait_until(lambda: self.is_up(self.hub, "hub"), "the hub")

    def is_up(self, machine, link):
        shown = subprocess.run(["ip", "-n", machine.namespace, "link", "show", link], text=True, capture_output=True)
        return "state UP" in shown.stdout

    def test_the_ids_are_the_same_over_four_namespaces(self):
        with tempfile.TemporaryDirectory() as folder:
            agent = pathlib.Path(folder, "agent")
            # Each machine has its own folder for temporary files, which daemons clear away when they end.
            agent.write_text(f"#!/bin/sh\nhost=${{1##*.}}\nshift\nexport TMPDIR={folder}/$host\nmkdir -p $TMPDIR\n"
                             f'exec ip netns exec potluck-$host-{os.getpid()} sh -c "$*"\n')  # fmt: skip
            agent.chmod(0o755)
            net = [word for of in ("btl", "oob") for word in ("--mca", f"{of}_tcp_if_include", "10.9.0.0/24")]
            hosts = ",".join(f"10.9.0.{i}:1" for i in range(1, 5))
            run = mpirun("--mca", "plm_rsh_agent", str(agent), *net, "--host", hosts, "-np", "4", POTLUCK, *ASK, *SHORT,
                         "--json", before=("ip", "netns", "exec", self.hub.namespace),
                         env={**os.environ, "TMPDIR": folder})  # fmt: skip
            out, err = run.communicate(timeout=2 * PATIENCE)
            self.assertTrue(out.startswith("{"), out + err)
            self.assertEqual(json.loads(out)["ids"], answer(*SHORT)["ids"])


if __name__ == "__main__":
    help_text = subprocess.run([POTLUCK, *ASK], stdin=subprocess.DEVNULL, text=True, capture_output=True).stderr
    if not shutil.which("mpirun") or "without MPI" in help_text:
        print("skipped: there is no mpirun, or potluck was built without MPI")
        sys.exit(SKIPPED)
    unittest.main()
