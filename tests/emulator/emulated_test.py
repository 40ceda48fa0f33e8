"""Stages on emulated cards, end to end: traces, rings that mix devices, and the demo."""
import json
import os
import pathlib
import subprocess
import unittest

POTLUCK = os.environ["POTLUCK"]  # with emulated cards
PATIENCE = 500 * int(os.environ["POTLUCK_SLOWNESS"])  # seconds after which a test calls it a hang
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
NANO = GOLDEN / "nano/model-bf16.gguf"
CARDS = ("emulated:cuda", "emulated:hip")
PROMPT = ("-p", "hello", "--raw", "-s", "7", "-n", "16", "--steps", "3", "--step-timeout", "600")


def run(*words):
    return subprocess.run([POTLUCK, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE)  # fmt: skip


def said(*words):
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Traces(unittest.TestCase):
    def test_exact_products_meet_the_reference(self):
        for card in CARDS:
            for model in ("nano", "scaled"):
                with self.subTest(card=card, model=model):
                    found = said("verify", "-m", GOLDEN / model, "--trace", GOLDEN / model / "trace.json", "--device",
                                 card, "--stream", "f32", "--precision", "exact")  # fmt: skip
                    self.assertLess(found["max_abs"], 5e-4)
                    self.assertEqual(found["argmax_agree"], 1)

    def test_fast_products_lose_near_what_bf16_loses(self):
        for card in CARDS:
            with self.subTest(card=card):
                found = said("verify", "-m", NANO, "--trace", GOLDEN / "nano/trace.json", "--device", card, "--stream",
                             "bf16", "--precision", "fast")  # fmt: skip
                self.assertLess(found["vs_bf16"], 1.6)

    def test_a_cut_changes_no_digit(self):
        def words(card, *cut):
            return ("verify", "-m", NANO, "--trace", GOLDEN / "nano/trace.json", "--device", card, "--stream", "f32",
                    "--precision", "exact", *cut)  # fmt: skip

        for card in CARDS:
            whole, cut = said(*words(card)), said(*words(card, "--cut", "1,2"))
            self.assertEqual((whole["max_abs"], whole["rms_rel"]), (cut["max_abs"], cut["rms_rel"]))


class Rings(unittest.TestCase):
    def test_devices_mix_in_any_order(self):
        expected = said("run", "-m", NANO, *PROMPT, "--precision", "exact")["ids"]
        for devices in ("emulated:cuda", "cpu,emulated:cuda,emulated:hip", "emulated:hip,cpu,emulated:cuda",
                        "emulated:cuda,emulated:hip,cpu"):  # fmt: skip
            with self.subTest(devices=devices):
                found = said("run", "-m", NANO, *PROMPT, "--precision", "exact", "--device", devices)["ids"]
                self.assertEqual(found, expected)

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
