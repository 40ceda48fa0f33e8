"""potluck-gpu-check on emulated cards: all is right on a sound one, and a kernel that does nothing is found."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["GPU_CHECK"]
GOLDEN = os.environ["GOLDEN"]
PATIENCE = 800 * int(os.environ["POTLUCK_SLOWNESS"])  # seconds after which a test calls it a hang
PARTS = ("peaks", "fragments", "contract", "shapes", "golden", "kernels", "steps", "variants")


def run(*words):
    return subprocess.run([PROGRAM, "--golden", GOLDEN, "--seed", "7", *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE)  # fmt: skip


def said(*words):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "check.json"
        done = run(*words, "--json", str(file))
        return done, json.loads(file.read_text())


class SoundCards(unittest.TestCase):
    def test_all_parts_are_right_on_a_card_of_32_lanes(self):
        done, found = said("--device", "emulated:cuda", "--quick")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue(found["passed"] and found["finished"])
        self.assertEqual([row["name"] for row in found["rows"] if row["part"] == "time"], list(PARTS))
        experts = [row for row in found["rows"] if row["part"] == "parts" and row["name"].endswith("experts")]
        self.assertEqual(len(experts), 2)  # of Q8_0 and of Q4_K_M
        for row in experts:
            self.assertGreater(row["gflop"], 0)
            self.assertGreater(row["of_read"], 0)

    def test_products_traces_and_steps_are_right_on_a_card_of_64_lanes(self):
        for part in ("fragments", "shapes", "golden", "kernels"):
            done, found = said("--device", "emulated:hip", "--quick", "--only", part)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual([row["name"] for row in found["rows"] if row["part"] == "time"], [part])


    def test_all_cards_are_taken_where_none_is_named(self):
        done, found = said("--only", "fragments")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual({row["device"] for row in found["rows"]}, {"emulated:cuda"})


class WrongCards(unittest.TestCase):
    def test_a_kernel_that_does_nothing_is_found(self):
        for kernel, part in (("mma_s8_products", "fragments"), ("rms_norm", "shapes"), ("matmul_f16", "shapes"),
                             ("attention", "golden"), ("attention_f16", "shapes"), ("vocab_fold", "shapes")):  # fmt: skip
            with self.subTest(kernel=kernel):
                done, found = said("--device", "emulated:cuda-" + kernel, "--quick", "--only", part)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertFalse(found["passed"])
                failures = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
                self.assertEqual(len(failures), len(found["failures"]))
                self.assertIn(f": {part}: ", failures[0])

    def test_parts_that_time_left_out_are_not_right(self):
        done, found = said("--device", "emulated:cuda", "--seconds", "0")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(found["failures"]), len(PARTS))

    def test_a_run_that_is_cut_off_leaves_what_it_had(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "check.json"
            words = [PROGRAM, "--device", "emulated:cuda", "--only", "peaks,contract", "--json", str(file)]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
                for line in running.stdout:
                    if line.split() and line.split()[0] == "time":
                        running.kill()
            found = json.loads(file.read_text())
            self.assertFalse(found["finished"])
            self.assertIn("measured", [row["name"] for row in found["rows"]])

    def test_wrong_words_are_one_line(self):
        for words in (("--device", "cuda:7"), ("--only", "nothing"), ("--seconds", "soon"), ("--what", "1")):
            with self.subTest(words=words):
                done = run("--device", "emulated:cuda", *words)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
