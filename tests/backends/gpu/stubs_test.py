"""The program itself on stub drivers: what `devices` says of each, and what it computes through them."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

POTLUCK = os.environ["POTLUCK"]  # whose stub drivers find an emulator in it
STUBS = pathlib.Path(os.environ["STUBS"])
PATIENCE = 500 * int(os.environ["POTLUCK_SLOWNESS"])  # seconds after which a test calls it a hang
GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"
NANO = GOLDEN / "nano/model-bf16.gguf"
SONAMES = {"cuda_11_8": "libcuda.so.1", "cuda_12_2": "libcuda.so.1", "cuda_13_0": "libcuda.so.1",
           "hip_5": "libamdhip64.so.5", "hip_6": "libamdhip64.so.6", "hip_7": "libamdhip64.so.7"}  # fmt: skip
USABLE = [stub for stub in SONAMES if stub != "cuda_11_8"]
PROMPT = ("-p", "hello", "--raw", "-s", "7", "-n", "8", "--steps", "2", "--step-timeout", "600", "--precision", "exact")


def device(stub):
    return "cuda:0" if stub.startswith("cuda") else "hip:0"


def run(stub, *words, card=""):
    """potluck on a machine whose only driver is this one, with this card."""
    architecture = "sm_86" if stub.startswith("cuda") else "gfx906"
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / SONAMES[stub]).symlink_to(STUBS / f"libstub_{stub}.so")
        environment = {**os.environ, "LD_LIBRARY_PATH": folder, "STUB_CARD": f"architecture={architecture} {card}"}
        return subprocess.run([POTLUCK, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE, env=environment)  # fmt: skip


def said(stub, *words, card=""):
    done = run(stub, *words, "--json", card=card)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listed(stub, card=""):
    """The stub's only entry in the list of devices."""
    kind = device(stub)[:-2]
    [entry] = [each for each in said(stub, "devices", card=card)["devices"] if each["device"].startswith(kind)]
    return entry


class Cards(unittest.TestCase):
    def refused(self, stub, card, *parts):
        """Both `devices` and `run` say why, the latter in one line."""
        entry = listed(stub, card)
        done = run(stub, "run", "-m", NANO, *PROMPT, "--device", device(stub), card=card)
        self.assertFalse(entry["usable"])
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for part in parts:
            self.assertIn(part, entry["problem"])
            self.assertIn(part, done.stderr)

    def test_each_version_that_is_new_enough_has_its_card(self):
        for stub in USABLE:
            with self.subTest(stub):
                entry = listed(stub)
                self.assertTrue(entry["usable"], entry)
                self.assertEqual(entry["bytes_free"], 12 << 30)

    def test_an_old_driver_says_which_is_needed(self):
        self.refused("cuda_11_8", "", "is for CUDA 11.8", "install driver 525 or newer")

    def test_a_library_without_a_card_says_so(self):
        for stub in ("cuda_13_0", "hip_7"):
            with self.subTest(stub):
                self.refused(stub, "cards=0", "/dev/")

    def test_a_chip_without_code_says_which_have_some(self):
        self.refused("cuda_12_2", "architecture=sm_61", "there is no code for sm_61, only for sm_86, gfx906")
        self.refused("hip_6", "architecture=gfx803", "there is no code for gfx803")

    def test_memory_that_others_hold_is_refused_with_the_arithmetic(self):
        for stub in ("cuda_12_2", "hip_6"):
            with self.subTest(stub):
                done = run(stub, "run", "-m", NANO, *PROMPT, "--device", device(stub), card="taken=12884800000")
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn("the head fits no device: it needs ", done.stderr)
                self.assertIn("(weights ", done.stderr)


class Results(unittest.TestCase):
    def test_a_golden_trace_meets_the_reference(self):
        for stub in USABLE:
            with self.subTest(stub):
                found = said(stub, "verify", "-m", NANO, "--trace", GOLDEN / "nano/trace.json", "--device",
                             device(stub), "--stream", "f32", "--precision", "exact")  # fmt: skip
                self.assertLess(found["max_abs"], 5e-4)
                self.assertEqual(found["argmax_agree"], 1)

    def test_a_ring_answers_as_on_the_cpu(self):
        expected = said("cuda_12_2", "run", "-m", NANO, *PROMPT)["ids"]
        for stub, devices in (("cuda_12_2", "cuda:0"), ("hip_6", "hip:0,cpu")):
            with self.subTest(stub):
                cut = ["--stages", 2] if "," in devices else []
                self.assertEqual(said(stub, "run", "-m", NANO, *PROMPT, "--device", devices, *cut)["ids"], expected)

    def test_a_display_changes_no_id(self):
        expected = said("cuda_12_2", "run", "-m", NANO, *PROMPT)["ids"]
        found = said("cuda_12_2", "run", "-m", NANO, *PROMPT, "--device", "cuda:0", card="display=1")["ids"]
        self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
