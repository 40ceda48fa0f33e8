"""Machines as they are: little memory, few threads and descriptors, no /proc, loopback down, files that change."""
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

import namespaces
from memory_groups import memory_group
from rings import HAS_TSAN, IS_SANITIZED, NANO, PATIENCE, POTLUCK, SLOW, Running, answer, plan_text, potluck

RUN = ("run", "-m", SLOW, "-p", "hello there", "--raw", "--json", "-s", "7", "-n", "32", "--steps", "4")
LARGE = "synthetic:nano?layers=6&hidden=2816&vocab=65536"  # some hundred MB
NOBODY = 54321  # a user without processes
LIMIT = 280 << 20  # the head of LARGE fits, but not together with the rest


def said(words, code, **options):
    """The last line of a potluck that ends by itself with this exit code."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, **options)
    assert done.returncode == code, f"exit {done.returncode}, not {code}; stderr:\n{done.stderr}"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else ""


def limited(limit, number, user=None):
    """What a child does to itself before it becomes potluck."""

    def limit_itself():
        if user:
            os.setgroups([])
            os.setgid(user)
        resource.setrlimit(limit, (number, number))
        if user:
            os.setuid(user)

    return limit_itself


class Machines(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def assert_one_line(self, line, *words):
        self.assertTrue(line.startswith("potluck: "), line)
        for word in words:
            self.assertIn(word, line)

    def test_a_container_without_room_for_the_model_says_so(self):
        if IS_SANITIZED:
            self.skipTest("a sanitizer takes memory that no plan counts")
        group = memory_group(self, f"potluck-test-{os.getpid()}", LIMIT)
        for stages in ("1", "3"):
            line = said([POTLUCK, "run", "-m", LARGE, "-p", "hi", "--raw", "--stages", stages], 3,
                        preexec_fn=group.enter)  # fmt: skip
            self.assert_one_line(line, "the workers that start here need", "together (head ", "MB free")
        said([POTLUCK, *RUN], 0, preexec_fn=group.enter)

    def test_a_thread_that_cannot_be_made_is_one_line(self):
        if os.getuid() != 0:
            self.skipTest("a limit of processes binds other users than root alone, and only root becomes another")
        self.folder.chmod(0o755)
        program = shutil.copy(POTLUCK, self.folder)  # where everybody can run it
        for most in (1, 2, 3, 5, 8, 12):
            for more in (["-t", "64"], ["-t", "2", "--transport", "zmq", "--host", "threads", "--stages", "6"]):
                with self.subTest(most=most, more=more):
                    line = said([program, *RUN, *more], 3, preexec_fn=limited(resource.RLIMIT_NPROC, most, NOBODY),
                                env={**os.environ, "TMPDIR": "/tmp"}, cwd="/")  # fmt: skip
                    self.assert_one_line(line, "thread", "ulimit -u")

    def test_few_descriptors_end_at_once_or_do(self):
        for most in (5, 8, 20, 40, 63):
            line = said([POTLUCK, *RUN], 3, preexec_fn=limited(resource.RLIMIT_NOFILE, most))
            self.assert_one_line(line, f"may have {most} files and sockets open", "ulimit -n")
        said([POTLUCK, *RUN, "--stages", "3"], 0, preexec_fn=limited(resource.RLIMIT_NOFILE, 64))
        line = said([POTLUCK, *RUN, "--stages", "6", "--host", "threads", "--transport", "zmq"], 3,
                    preexec_fn=limited(resource.RLIMIT_NOFILE, 80))  # fmt: skip
        self.assert_one_line(line, "ulimit -n")

    @unittest.skipIf(HAS_TSAN, "TSan has to write a file of its own")
    def test_files_that_may_not_grow_are_named(self):
        line = said([POTLUCK, "key"], 3, preexec_fn=limited(resource.RLIMIT_FSIZE, 0),
                    env={**os.environ, "XDG_CONFIG_HOME": str(self.folder)})  # fmt: skip
        self.assert_one_line(line, f"cannot write {self.folder}/potluck/key: File too large")

    def test_a_model_that_is_written_to_while_a_worker_has_it_is_named(self):
        for change in ("rewritten", "cut"):
            with self.subTest(change):
                model = self.folder / f"{change}.gguf"
                shutil.copy(NANO, model)
                with Running("worker", "-m", str(model), "--listen", "tcp://127.0.0.1:*") as worker:
                    plan = self.folder / "plan.yaml"
                    plan.write_text(plan_text(None, (worker.wait_for_endpoint(), "0:5")))
                    if change == "cut":
                        os.truncate(model, model.stat().st_size // 2)
                    else:
                        model.write_bytes(pathlib.Path(NANO).read_bytes())
                    _, err = potluck("run", "-m", NANO, "-p", "hi", "--plan", str(plan), code=3)
                    self.assert_one_line(err.strip().splitlines()[-1], f"{model} changed while it was in use")
                    self.assertIsNone(worker.process.poll())

    def without_proc(self, *words):
        hide = "mount -t tmpfs none /proc && exec \"$0\" \"$@\""
        return ["unshare", "--mount", "sh", "-c", hide, POTLUCK, *words]

    @unittest.skipIf(IS_SANITIZED, "sanitizers find by /proc what they are told, and leaks")
    def test_without_proc_a_ring_of_processes_answers(self):
        if not namespaces.mounts_can_be_made():
            self.skipTest(namespaces.WHY_NO_MOUNTS)
        said(self.without_proc(*RUN, "--stages", "2"), 0)
        said(self.without_proc("inspect", "-m", "demo"), 0)

    def test_with_loopback_down_local_rings_answer_and_others_say_what_is_missing(self):
        if not namespaces.can_be_made():
            self.skipTest(namespaces.WHY)
        alone = ["unshare", "--net", POTLUCK]
        said([*alone, *RUN, "--stages", "2"], 0)
        plan = self.folder / "plan.yaml"
        plan.write_text(plan_text(None, ("tcp://127.0.0.1:7000", "0:6")))
        line = said([*alone, *RUN, "--plan", str(plan)], 3)
        self.assert_one_line(line, "127.0.0.1 was not reached: Network is unreachable", "ip link set lo up")

    def test_an_address_that_this_machine_lacks_is_not_listened_at(self):
        line = said([POTLUCK, "worker", "-m", SLOW, "--listen", "tcp://203.0.113.4:7000", "--insecure-plaintext"], 3)
        self.assert_one_line(line, "cannot listen at tcp://203.0.113.4:7000: Cannot assign", "ip address shows")


if __name__ == "__main__":
    unittest.main()
