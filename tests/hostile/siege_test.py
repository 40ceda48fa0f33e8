"""Worker processes under siege serve their ring, and take no more memory than quiet ones (`--minutes 5` by hand)."""
import contextlib
import os
import pathlib
import subprocess
import sys
import unittest

from rings import PATIENCE, Running

MODEL = "synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5"  # kAttackedModel
SECONDS = 6.0
STRANGERS = 3
MEMORY_MORE_MAX = 64 << 20
# What a worker has freed is no memory that it takes, though the sanitizer keeps 256 MB of it.
SANITIZER = {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1"]))}


def peak_memory(pid):
    """Of a process, in bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


class Siege(unittest.TestCase):
    def ring_memory(self, seconds, strangers):
        """Peak memory of each of the ring's workers, and what the siege prints."""
        with contextlib.ExitStack() as stack:
            workers = [stack.enter_context(Running("worker", "-m", MODEL, "--listen", "tcp://127.0.0.1:*",
                                                   "--insecure-plaintext", "--threads", "1", env=SANITIZER)) for _ in range(3)]  # fmt: skip
            endpoints = [worker.wait_for_endpoint() for worker in workers]
            siege = subprocess.run([os.environ["POTLUCK_SIEGE"], str(seconds), str(strangers), *endpoints],
                                   timeout=seconds + PATIENCE, capture_output=True, text=True)  # fmt: skip
            self.assertEqual(siege.returncode, 0, siege.stdout + siege.stderr)
            for worker in workers:
                self.assertIsNone(worker.process.poll(), worker.stderr()[-2000:])
            return [peak_memory(worker.process.pid) for worker in workers], siege.stdout

    def test_leaves_answers_and_memory_as_they_were(self):
        quiet, _ = self.ring_memory(1, 0)
        besieged, said = self.ring_memory(SECONDS, STRANGERS)
        print(f"{said}quiet: {[each >> 10 for each in quiet]} KiB\nbesieged: {[each >> 10 for each in besieged]} KiB")
        for before, after in zip(quiet, besieged):
            self.assertLess(after, before + MEMORY_MORE_MAX)


if __name__ == "__main__":
    if "--minutes" in sys.argv:
        at = sys.argv.index("--minutes")
        SECONDS = 60.0 * float(sys.argv[at + 1])
        del sys.argv[at : at + 2]
    unittest.main()
