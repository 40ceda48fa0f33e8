"""Workers that stand by themselves, as on other machines: plans, strangers, refusals, one coordinator after another."""
import contextlib
import os
import pathlib
import signal
import socket
import tempfile
import unittest

from rings import SLOW, Running, answer, plan_text, potluck

LOOPBACK = "tcp://127.0.0.1:*"


class StandingWorkers(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory()))

    def worker(self, *arguments, model=SLOW, listen=LOOPBACK):
        run = self.stack.enter_context(Running("worker", "-m", model, "--listen", listen, *arguments))
        return run, run.wait_for_endpoint()

    def plan(self, head, *stages):
        path = self.folder / "plan.yaml"
        path.write_text(plan_text(head, *stages))
        return str(path)

    def refusal(self, *arguments, code):
        last = potluck("run", "-m", SLOW, "-p", "hello", "--raw", "-s", "7", *arguments, code=code)[1]
        last = last.strip().splitlines()[-1]
        self.assertTrue(last.startswith("potluck: "), last)
        return last

    def test_serve_one_coordinator_after_another(self):
        expected = answer("-n", "32", "--steps", "4", "-c", "512")["ids"]
        (_, head), (_, first), (_, second) = (self.worker() for _ in range(3))
        for plan in (self.plan(head, (first, "0:2"), (second, "2:6")), self.plan(second, (head, "0:6")),
                     self.plan(None, (first, "0:1"), (None, "1:3"), (second, "3:6"))):  # fmt: skip
            for _ in range(2):
                self.assertEqual(answer("--plan", plan, "-n", "32", "--steps", "4")["ids"], expected)

    def test_one_at_a_path_is_linked_with_those_that_are_started_here(self):
        _, stage = self.worker(listen=f"ipc://{self.folder}/stage")
        expected = answer("-n", "32", "--steps", "4", "-c", "512")["ids"]
        for plan in (self.plan(None, (None, "0:3"), (stage, "3:6")), self.plan(None, (stage, "0:3"), (None, "3:6"))):
            self.assertEqual(answer("--plan", plan, "-n", "32", "--steps", "4")["ids"], expected)

    def test_take_the_next_coordinator_when_one_is_killed(self):
        workers = [self.worker()[1] for _ in range(3)]
        plan = self.plan(workers[0], (workers[1], "0:3"), (workers[2], "3:6"))
        expected = answer("--plan", plan, "-n", "32", "--steps", "4")["ids"]
        for _ in range(5):
            with Running("run", "-m", SLOW, "-p", "hello there", "--raw", "--plan", plan, "-n", "400", "--steps", "255",
                         "--show", "text") as killed:  # fmt: skip
                killed.wait_for_steps()
                os.kill(killed.process.pid, signal.SIGKILL)
            self.assertEqual(answer("--plan", plan, "-n", "32", "--steps", "4")["ids"], expected)

    def test_another_model_is_refused_by_name(self):
        head, stage = self.worker()[1], self.worker(model=SLOW.replace("hidden=128", "hidden=64"))[1]
        said = self.refusal("--plan", self.plan(head, (stage, "0:6")), code=3)
        self.assertIn("stage 0", said)
        self.assertIn("fingerprint", said)

    def test_other_contents_are_refused_by_layer(self):
        head, stage = self.worker()[1], self.worker(model=SLOW.replace("seed=3", "seed=4"))[1]
        said = self.refusal("--plan", self.plan(head, (stage, "0:6")), code=3)
        self.assertIn("layer 0 differs", said)

    def test_too_little_memory_is_refused_with_the_arithmetic(self):
        head, stage = self.worker()[1], self.worker("--memory", "100KiB")[1]
        said = self.refusal("--plan", self.plan(head, (stage, "0:6")), code=3)
        for part in ("stage 0", "weights", "KV"):
            self.assertIn(part, said)

    def test_a_second_coordinator_is_told_that_the_worker_is_taken(self):
        head, stage = self.worker()[1], self.worker()[1]
        plan = self.plan(head, (stage, "0:6"))
        with Running("run", "-m", SLOW, "-p", "hello", "--raw", "--plan", plan, "-n", "400", "--steps", "255",
                     "--show", "text") as first:  # fmt: skip
            first.wait_for_steps()
            self.assertIn("another coordinator", self.refusal("--plan", plan, code=3))
            self.assertIsNone(first.process.poll())

    def test_nobody_at_the_endpoint_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        said = self.refusal("--plan", self.plan(f"tcp://127.0.0.1:{port}", (None, "0:6")), code=3)
        self.assertIn(f"127.0.0.1:{port}", said)

    def test_a_port_in_use_is_named(self):
        endpoint = self.worker()[1]
        said = potluck("worker", "-m", SLOW, "--listen", endpoint, code=3)[1]
        self.assertIn(endpoint, said)

    def test_plain_links_are_for_a_named_interface(self):
        said = potluck("worker", "-m", SLOW, "--listen", "tcp://0.0.0.0:*", "--insecure-plaintext", code=2)[1]
        self.assertIn("name the address of the network that you trust", said)

    def test_garbage_to_a_port_hurts_nobody(self):
        head, stage = self.worker()[1], self.worker()[1]
        plan = self.plan(head, (stage, "0:6"))
        host, port = stage.removeprefix("tcp://").split(":")
        for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, b"\xff\0\0\0\0\0\0\0\1\x7f", b"{"):
            with socket.create_connection((host, int(port))) as stranger:
                stranger.sendall(rubbish)
        self.assertEqual(len(answer("--plan", plan, "-n", "32", "--steps", "4")["steps"]), 1)

    def test_leave_quietly_when_told(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            run, _ = self.worker()
            os.kill(run.process.pid, number)
            self.assertEqual(run.wait(), code)


if __name__ == "__main__":
    unittest.main()
