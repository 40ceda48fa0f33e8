"""Rings whose links go from emulated card to emulated card by NCCL: the same answers, and faults in the middle."""
import json
import os
import pathlib
import signal
import tempfile
import time
import unittest

from rings import NANO, Running, wait_until

PROMPT = ("-p", "hello", "--raw", "-s", "7", "--step-timeout", "600")
SHORT, LONG = ("-n", "16", "--steps", "6"), ("-n", "400", "--steps", "40")
LINKS = 3  # head → first → second → head
DEVICES = ("emulated:cuda", "emulated:hip")


class Ring(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.carried = self.folder / "carried"  # the stand-in writes a line for each payload

    def plan(self, device, *transports):
        """Head and two stages on a card each; the transport of each one's rows, or none."""
        lines = ["version: 1", "precision: exact", "head:"]
        for name, layers, transport in zip(("head", "first", "second"), ("", "0:2", "2:5"), transports):
            first, indent = ("  ", "  ") if name == "head" else ("  - ", "    ")
            lines += ["stages:"] if name == "first" else []
            lines += [f"{first}name: {name}", f"{indent}start: here", f"{indent}device: {device}"]
            lines += [f"{indent}layers: {layers}"] if layers else []
            lines += [f"{indent}transport: {transport}"] if transport else []
        path = self.folder / "plan.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def ring(self, plan, *words, **variables):
        environment = {**os.environ, "NCCL_STAND_IN_LOG": str(self.carried), **variables}
        return Running("run", "-m", NANO, *PROMPT, "--plan", str(plan), "-v", "--json", *(words or SHORT),
                       env=environment)  # fmt: skip

    def answer(self, plan, **variables):
        with self.ring(plan, **variables) as run:
            self.assertEqual(run.wait(), 0, run.stderr())
            return json.loads(run.stdout())["ids"], run.stderr()

    def payloads(self):
        return self.carried.read_text().splitlines() if self.carried.exists() else []

    def test_the_answer_is_that_of_the_other_transport(self):
        for device in DEVICES:
            with self.subTest(device=device):
                expected, log = self.answer(self.plan(device, None, None, None))
                self.assertEqual(self.payloads(), [])
                self.assertNotIn("NCCL", log)
                found, log = self.answer(self.plan(device, "nccl", "nccl", "nccl"))
                self.assertEqual(found, expected)
                self.assertEqual(log.count("go by NCCL 2.21.5 from now on"), LINKS, log)
                self.assertNotIn("given up", log)
                self.assertGreater(len(self.payloads()), LINKS)
                self.carried.unlink()

    def test_links_of_both_kinds_make_one_ring(self):
        expected, _ = self.answer(self.plan(DEVICES[0], None, None, None))
        found, log = self.answer(self.plan(DEVICES[0], None, "nccl", None))
        self.assertEqual(found, expected)
        self.assertEqual(log.count("go by NCCL"), 1, log)

    def test_a_transfer_that_hangs_is_taken_over(self):
        expected, _ = self.answer(self.plan(DEVICES[0], None, None, None))
        found, log = self.answer(self.plan(DEVICES[0], "nccl", "nccl", "nccl"), NCCL_STAND_IN_HANGING_SEND="2")
        self.assertEqual(found, expected)
        self.assertIn("NCCL to peer 2 is given up (a payload does not come)", log)
        self.assertEqual(len(self.payloads()), LINKS, "the first of each link, before the second hangs")

    def test_a_worker_that_is_killed_is_one_fault_by_name(self):
        for victim in ("head", "second"):
            with self.subTest(victim=victim):
                plan = self.plan(DEVICES[0], "nccl", "nccl", "nccl")
                with self.ring(plan, *LONG, "--no-recovery") as run:
                    pid = run.wait_for_workers("head", "first", "second")[victim]
                    wait_until(lambda: len(self.payloads()) > LINKS, "payloads by NCCL")
                    os.kill(pid, signal.SIGKILL)
                    since = time.monotonic()
                    self.assertEqual(run.wait(), 3, run.stderr())
                    print(f"killed {victim}: ended after {time.monotonic() - since:.2f} s")
                    self.assertIn(victim, [line for line in run.stderr().splitlines() if "potluck: " in line][-1])
                self.carried.unlink()

    def test_a_plan_that_links_two_vendors_is_one_line(self):
        plan = self.plan(DEVICES[0], "nccl", None, None)
        plan.write_text(plan.read_text().replace(DEVICES[0], DEVICES[1], 1))
        with self.ring(plan) as run:
            self.assertEqual(run.wait(), 2, run.stderr())
            self.assertEqual(len(run.stderr().splitlines()), 1, run.stderr())
            self.assertIn("NCCL links cards of one vendor", run.stderr())

    def test_workers_that_share_a_card_are_refused_by_name(self):
        with self.ring(self.plan(DEVICES[0], "nccl", "nccl", "nccl"), *SHORT, "--host", "threads",
                       "--no-recovery") as run:
            self.assertEqual(run.wait(), 3, run.stderr())
            self.assertIn("NCCL links two cards, and both workers have cuda card", run.stderr())


if __name__ == "__main__":
    unittest.main()
