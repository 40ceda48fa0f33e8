"""Rings of real processes: the same answer everywhere, and an end without leftovers whatever dies."""
import os
import pathlib
import random
import signal
import tempfile
import time
import unittest

from rings import NANO, SLOW, Running, answer, potluck, processes_of, wait_until

LONG = ("run", "-m", SLOW, "-p", "hello there", "--raw", "-s", "7", "-n", "900", "--steps", "255",
        "--stages", "3", "--show", "text", "--no-recovery")  # fmt: skip
NAMES = ("head", "stage 0", "stage 1", "stage 2")


class SameAnswer(unittest.TestCase):
    def test_ids_do_not_depend_on_stages_transport_or_threads(self):
        settings = ("-n", "64", "--steps", "6")
        expected = answer(*settings)
        self.assertGreaterEqual(len(expected["steps"]), 2)
        self.assertGreaterEqual(min(expected["steps"]), 4)
        self.assertGreaterEqual(len(set(expected["ids"])), 50)
        for stages in (1, 2, 3, 6):
            for transport, host in (("inproc", "threads"), ("zmq", "threads"), ("zmq", "processes")):
                threads = str(stages % 3 + 1)
                with self.subTest(stages=stages, transport=transport, host=host, threads=threads):
                    found = answer(*settings, "--stages", str(stages), "--transport", transport, "--host", host,
                                   "-t", threads)  # fmt: skip
                    self.assertEqual(found["ids"], expected["ids"])
        self.assertNotEqual(answer(*settings, seed=8)["ids"], expected["ids"])

    def test_chunks_of_the_prompt_do_not_matter(self):
        settings = ("--stages", "2", "-n", "32", "--steps", "4")
        prompt = "a prompt of more than one chunk " * 3
        expected = answer(*settings, prompt=prompt)["ids"]
        for chunk in ("1", "7", "64"):
            self.assertEqual(answer(*settings, "--chunk", chunk, prompt=prompt)["ids"], expected)


class Deaths(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.temporary = pathlib.Path(folder.name)

    def long_run(self):
        return Running(*LONG, env={"TMPDIR": str(self.temporary)})

    def check_nothing_left(self, run):
        self.assertEqual(processes_of(run.session), [])
        self.assertEqual(list(self.temporary.iterdir()), [])

    def check_ended(self, run, victim, since):
        code = run.wait()
        seconds = time.monotonic() - since
        self.assertEqual(code, 3, run.stderr())
        last = run.stderr().strip().splitlines()[-1]
        self.assertTrue(last.startswith("potluck: "), last)
        self.assertIn(victim, last)
        self.check_nothing_left(run)
        return seconds

    def test_a_killed_worker_ends_the_request_by_name(self):
        rng, slowest = random.Random(1), 0
        for moment in range(10):
            victim = NAMES[moment % 4]
            with self.subTest(victim=victim), self.long_run() as run:
                pid = run.wait_for_workers(*NAMES)[victim]
                if moment >= 2:
                    run.wait_for_steps()
                time.sleep(rng.random() / 2)
                os.kill(pid, signal.SIGKILL)
                slowest = max(slowest, self.check_ended(run, victim, time.monotonic()))
        print(f"killed workers: slowest end {slowest:.2f} s")

    def test_a_stopped_worker_is_named_by_its_silence(self):
        for victim in NAMES:
            with self.subTest(victim=victim), self.long_run() as run:
                pid = run.wait_for_workers(*NAMES)[victim]
                run.wait_for_steps()
                os.kill(pid, signal.SIGSTOP)
                seconds = self.check_ended(run, victim, time.monotonic())
                print(f"stopped {victim}: ended after {seconds:.2f} s")

    def test_workers_do_not_outlive_a_killed_coordinator(self):
        for before_steps in (True, False):
            with self.long_run() as run:
                run.wait_for_workers(*NAMES)
                if not before_steps:
                    run.wait_for_steps()
                os.kill(run.process.pid, signal.SIGKILL)
                since = time.monotonic()
                run.process.wait()
                wait_until(lambda: not processes_of(run.session), "the workers to end", 3)
                print(f"killed coordinator: workers gone after {time.monotonic() - since:.2f} s")
                self.check_nothing_left(run)

    def test_interrupts_leave_nothing(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(code=code), self.long_run() as run:
                run.wait_for_steps()
                os.kill(run.process.pid, number)
                self.assertEqual(run.wait(), code, run.stderr())
                self.check_nothing_left(run)


class Verify(unittest.TestCase):
    def test_a_trace_meets_itself_over_processes(self):
        trace = NANO.replace("model-bf16.gguf", "trace.json")
        expected = potluck("verify", "-m", NANO, "--trace", trace, "--json")[0]
        for cut in ((), ("--cut", "2"), ("--cut", "1,2,3,4")):
            found = potluck("verify", "-m", NANO, "--trace", trace, "--json", "--transport", "zmq", *cut)[0]
            self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
