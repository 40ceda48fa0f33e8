"""Stages on emulated cards, end to end: traces, rings that mix devices, and the demo."""
import itertools
import json
import os
import pathlib
import subprocess
import unittest

POTLUCK = os.environ["POTLUCK"]  # with emulated cards
PATIENCE = 500 * int(os.environ["POTLUCK_SLOWNESS"])  # seconds after which a test calls it a hang
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
NANO = GOLDEN / "nano/model-bf16.gguf"
KQUANT = GOLDEN / "kquant/model-Q4_K_M.gguf"
DEMO = GOLDEN.parents[1] / "cluster/demo/sudoku6.gguf"
CARDS = ("emulated:cuda", "emulated:hip")
PROMPT = ("-p", "hello", "--raw", "-s", "7", "-n", "16", "--steps", "3", "--step-timeout", "600")


def run(*words):
    return subprocess.run([POTLUCK, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE)  # fmt: skip


def said(*words):
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def verified(model, trace, devices, precision, *more):
    stream = {"exact": "f32", "fast": "bf16"}[precision]
    return said("verify", "-m", model, "--trace", GOLDEN / trace, "--device", devices, "--stream", stream, "--precision",
                precision, "--tolerance", "5e-4", *more)  # fmt: skip


# golden_on_cards replays all traces, and plays the demo.
class Traces(unittest.TestCase):
    def test_exact_products_meet_the_reference(self):
        for card in CARDS:
            for model in ("nano", "scaled"):
                with self.subTest(card=card, model=model):
                    found = verified(GOLDEN / model, f"{model}/trace.json", card, "exact")
                    self.assertLess(found["max_abs"], 5e-4)
                    self.assertEqual(found["argmax_agree"], 1)
                    self.assertEqual(found["ids"]["unexplained"], 0)
                    self.assertLessEqual(found["ids"]["differ"], 0.01 * found["ids"]["chosen"])

    def test_fast_products_lose_near_what_bf16_loses(self):
        for card in CARDS:
            for model, trace in ((NANO, "nano/trace.json"), (KQUANT, "kquant/trace-Q4_K_M.json"),
                                 (DEMO, "demo/trace-0.json")):  # fmt: skip
                with self.subTest(card=card, trace=trace):
                    found = verified(model, trace, card, "fast")
                    self.assertLess(found["vs_bf16"], 1.6)
                    self.assertEqual(found["ids"]["unexplained"], 0)

    def test_a_cut_changes_no_digit(self):
        for card in CARDS:
            whole = verified(NANO, "nano/trace.json", card, "exact")
            cut = verified(NANO, "nano/trace.json", card, "exact", "--cut", "1,2")
            self.assertEqual((whole["max_abs"], whole["rms_rel"]), (cut["max_abs"], cut["rms_rel"]))


class Rings(unittest.TestCase):
    def test_devices_mix_in_any_order(self):
        expected = said("run", "-m", NANO, *PROMPT, "--precision", "exact")["ids"]
        for devices in ("emulated:cuda", *map(",".join, itertools.permutations(("cpu", *CARDS)))):
            with self.subTest(devices=devices):
                found = said("run", "-m", NANO, *PROMPT, "--precision", "exact", "--device", devices)["ids"]
                self.assertEqual(found, expected)

    def test_rings_that_mix_devices_meet_the_reference(self):
        for devices in ("cpu,emulated:hip,emulated:cuda", "emulated:hip,cpu"):
            with self.subTest(devices=devices):
                found = verified(NANO, "nano/trace.json", devices, "exact")
                self.assertLess(found["max_abs"], 5e-4)
                self.assertEqual(found["ids"]["unexplained"], 0)

    def test_a_device_that_is_not_there_is_one_line(self):
        done = run("run", "-m", NANO, *PROMPT, "--device", "cuda:7")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("emulated:cuda", done.stderr)

    def test_devices_and_stages_must_agree(self):
        done = run("run", "-m", NANO, *PROMPT, "--stages", "2", "--device", "cpu,cpu,cpu")
        self.assertEqual(done.returncode, 2)
        self.assertIn("3 devices for 2 stages", done.stderr)


class Memory(unittest.TestCase):
    def test_a_card_that_is_too_small_is_refused_with_the_arithmetic(self):
        done = run("run", "-m", "synthetic:nano?layers=60&hidden=2048&intermediate=8192", *PROMPT, "--device", "emulated:cuda")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("free", done.stderr)


if __name__ == "__main__":
    unittest.main()
