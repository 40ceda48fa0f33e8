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
PARTS = ("peaks", "fragments", "weights", "contract", "shapes", "golden", "nccl", "kernels", "steps", "variants")


def run(*words, **settings):
    return subprocess.run([PROGRAM, "--golden", GOLDEN, "--seed", "7", *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **settings})  # fmt: skip


def said(*words, **settings):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "check.json"
        done = run(*words, "--json", str(file), **settings)
        return done, json.loads(file.read_text())


class SoundCards(unittest.TestCase):
    def test_all_parts_are_right_on_a_card_of_32_lanes(self):
        done, found = said("--device", "emulated:cuda", "--quick", "--seconds", str(PATIENCE))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertTrue(found["passed"] and found["finished"])
        self.assertEqual([row["name"] for row in found["rows"] if row["part"] == "time"], list(PARTS))
        nccl = [row for row in found["rows"] if row["part"] == "nccl"]
        self.assertEqual([row["name"] for row in nccl], ["NCCL 2.21.5 to the card itself"])
        experts = [row for row in found["rows"] if row["part"] == "parts" and row["name"].endswith("experts")]
        self.assertEqual(len(experts), 2)  # of Q8_0 and of Q4_K_M
        for row in experts:
            self.assertGreater(row["gflop"], 0)
            self.assertGreater(row["of_read"], 0)

    def test_products_traces_and_steps_are_right_on_a_card_of_64_lanes(self):
        for part in ("shapes", "golden", "kernels"):
            done, found = said("--device", "emulated:hip", "--quick", "--only", part)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual([row["name"] for row in found["rows"] if row["part"] == "time"], [part])


    def test_layouts_and_weights_are_right_on_cards_of_every_kind(self):
        for kind, unit in (("cuda", "mma.sync"), ("rdna", "wmma"), ("hip", "product"), ("pascal", "product")):
            done, found = said("--device", "emulated:" + kind, "--only", "fragments,weights")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            names = [row["name"] for row in found["rows"] if row["part"] == "fragments"]
            loads = ["ldmatrix.x4", "ldmatrix.x4.trans"] if kind == "cuda" else []
            self.assertEqual(names, [f"{unit}, f16", f"{unit}, int8", *loads, "copy16"])
            weights = [row for row in found["rows"] if row["part"] == "weights"]
            self.assertEqual(len(weights), 10)
            for row in weights:
                self.assertGreater(row["mean_square"], 0.1)

    def test_two_cards_are_linked_by_nccl(self):
        done, found = said("--device", "emulated:cuda,emulated:cuda:1", "--only", "nccl")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        links = [row for row in found["rows"] if row["part"] == "links"]
        self.assertEqual([row["name"] for row in links], ["emulated:cuda to emulated:cuda:1"])
        for rate in ("gb_s", "hop_us", "host_gb_s", "host_hop_us"):
            self.assertGreater(links[0][rate], 0)
        self.assertEqual(links[0]["receiver_mb"], 0)  # the stand-in takes none

    def test_a_machine_without_nccl_says_so(self):
        done, found = said("--device", "emulated:cuda", "--only", "nccl", GPU_CHECK_NCCL="/nowhere/libnccl.so.2")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        (row,) = [row for row in found["rows"] if row["part"] == "nccl"]
        self.assertEqual(row["name"], "not checked")
        self.assertTrue(row["why"].startswith("libnccl.so.2 is not installed"), row["why"])

    def test_all_cards_are_taken_where_none_is_named(self):
        done, found = said("--only", "fragments")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual({row["device"] for row in found["rows"]}, {"emulated:cuda"})


class WrongCards(unittest.TestCase):
    def failures(self, device, part):
        done, found = said("--device", device, "--only", part)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return found["failures"]

    def test_a_wrong_layout_is_named_by_lane_and_word(self):
        failures = self.failures("emulated:cuda-turned", "fragments")
        self.assertEqual(failures[0], "emulated:cuda-turned: fragments: ldmatrix.x4: lane 0, word 0, value 1 holds "
                                      "(1, 0) of matrix 0, expected (0, 1) of matrix 0")  # fmt: skip
        failures = self.failures("emulated:cuda-mma_s8_products", "fragments")
        self.assertIn(": mma.sync, int8: C (0, 0) in lane 0, sum 0 holds ", failures[0])
        self.assertTrue(failures[0].endswith("expected 15; 3 at A (0, 0) in lane 0, word 0, value 0, "
                                             "5 at B (0, 0) in lane 0, word 0, value 0"), failures[0])  # fmt: skip
        failures = self.failures("emulated:rdna-mma_f16_products", "fragments")
        self.assertIn(": wmma, f16: C (0, 0) in lane 0, sum 0 holds ", failures[0])
        failures = self.failures("emulated:hip-shared_copies", "fragments")
        self.assertIn(": copy16: group 0, thread 0, byte 0 is ", failures[0])

    def test_weights_that_are_drawn_otherwise_are_found(self):
        failures = self.failures("emulated:cuda-draw", "weights")
        self.assertTrue(any("f16: drawn bytes have the digest" in failure for failure in failures), failures)

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
