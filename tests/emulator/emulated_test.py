"""Stages on emulated cards, end to end: traces, rings that mix devices, and the demo."""
import itertools
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from rings import HAS_TSAN, POTLUCK, SLOWNESS

PATIENCE = 500 * SLOWNESS  # seconds after which a test calls it a hang
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
NANO = GOLDEN / "nano/model-bf16.gguf"
KQUANT = GOLDEN / "kquant/model-Q4_K_M.gguf"
DEMO = GOLDEN.parents[1] / "cluster/demo/sudoku6.gguf"
CARDS = ("emulated:cuda", "emulated:hip")
PROMPT = ("-p", "hello", "--raw", "-s", "7", "-n", "16", "--steps", "3", "--step-timeout", "600")


HEADROOM = 640 << 20  # cluster/ring/device_rooms.h


def run(*words, cuda=1 << 30, hip=1 << 30, **env):
    """On cards of so many bytes."""
    env = {**os.environ, "POTLUCK_EMULATED_BYTES": f"{cuda}:{hip}", **env}
    return subprocess.run([POTLUCK, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, env=env)  # fmt: skip


def said(*words, **sizes):
    done = run(*words, "--json", **sizes)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def parts(found):
    """(device, layers) of each worker; the head has none."""
    return [(worker["device"], worker["layers"][1] - worker["layers"][0]) for worker in found["workers"]]


def verified(model, trace, devices, precision, *more):
    stream = {"exact": "f32", "fast": "bf16"}[precision]
    return said("verify", "-m", model, "--trace", GOLDEN / trace, "--device", devices, "--stream", stream, "--precision",
                precision, "--tolerance", "5e-4", *more)  # fmt: skip


# golden_on_cards replays all traces, and plays the demo.
class Traces(unittest.TestCase):
    def exact(self, card, model):
        found = verified(GOLDEN / model, f"{model}/trace.json", card, "exact")
        self.assertLess(found["max_abs"], 5e-4)
        self.assertEqual(found["argmax_agree"], 1)
        self.assertEqual(found["ids"]["unexplained"], 0)
        self.assertLessEqual(found["ids"]["differ"], 0.01 * found["ids"]["chosen"])
        return found

    def test_exact_products_meet_the_reference_and_a_cut_changes_no_digit(self):
        for card in CARDS:
            with self.subTest(card=card):
                self.exact(card, "scaled")
                whole = self.exact(card, "nano")
                cut = verified(GOLDEN / "nano", "nano/trace.json", card, "exact", "--cut", "1,2")
                self.assertEqual((whole["max_abs"], whole["rms_rel"]), (cut["max_abs"], cut["rms_rel"]))

    def test_fast_products_lose_near_what_bf16_loses(self):
        nano, kquant, demo = ((NANO, "nano/trace.json"), (KQUANT, "kquant/trace-Q4_K_M.json"), (DEMO, "demo/trace-0.json"))
        traces = {"cuda": (nano, kquant), "rdna": (nano, demo), "hip": (nano, demo), "pascal": (nano, kquant)}
        if HAS_TSAN:  # it takes some 250 times as long here, half an hour for a puzzle
            traces = {"cuda": (nano,), "hip": (nano,)}
        for card, of_card in traces.items():
            for model, trace in of_card:
                with self.subTest(card=card, trace=trace):
                    found = verified(model, trace, "emulated:" + card, "fast")
                    self.assertLess(found["vs_bf16"], 1.6)
                    self.assertEqual(found["ids"]["unexplained"], 0)


class Rings(unittest.TestCase):
    def test_devices_mix_in_any_order(self):
        expected = said("run", "-m", NANO, *PROMPT, "--precision", "exact")["ids"]
        for devices in ("emulated:cuda", *map(",".join, itertools.permutations(("cpu", *CARDS)))):
            with self.subTest(devices=devices):
                cut = ["--stages", 3] if "," in devices else []
                found = said("run", "-m", NANO, *PROMPT, "--precision", "exact", "--device", devices, *cut)["ids"]
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
    """NANO has five layers."""

    def room_for(self, layers):
        """The bytes of a card that holds the head and the first so many layers, and not a byte more."""
        head, stage, _ = said("inspect", "-m", NANO, "--device", "emulated:cuda,cpu", "--split", f"{layers},{5 - layers}")["workers"]
        return HEADROOM + head["bytes"] + stage["bytes"]

    def test_a_card_is_filled_and_the_cpu_has_the_rest(self):
        plan = ("inspect", "-m", NANO, "--device", "emulated:cuda,cpu")
        for layers in (2, 3):
            room = self.room_for(layers)
            self.assertEqual(parts(said(*plan, cuda=room)),
                             [("emulated:cuda", 0), ("emulated:cuda", layers), ("cpu", 5 - layers)])
            self.assertEqual(parts(said(*plan, cuda=room - 1))[1:], [("emulated:cuda", layers - 1), ("cpu", 6 - layers)])
        self.assertEqual(parts(said(*plan)), [("emulated:cuda", 0), ("emulated:cuda", 5)])

    def test_a_ring_cut_by_memory_gives_the_same_answer(self):
        words = ("run", "-m", NANO, *PROMPT, "--precision", "exact")
        found = said(*words, "--device", "emulated:cuda,cpu", "-ngl", 2)
        self.assertEqual(found["ids"], said(*words)["ids"])

    def test_a_number_of_card_layers_is_kept_to_or_refused(self):
        plan = ("inspect", "-m", NANO, "--device", "emulated:cuda")
        self.assertEqual(parts(said(*plan, "-ngl", 1))[1:], [("emulated:cuda", 1), ("cpu", 4)])
        self.assertEqual(parts(said(*plan, "--gpu-layers", 0)), [("emulated:cuda", 0), ("cpu", 5)])
        done = run(*plan, "-ngl=4", cuda=self.room_for(3))
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, r"\Apotluck: 1 of 4 layers .* do not fit there: emulated:cuda has \d+ MB free less "
                                      r".* layers 0:3 need .*\(--gpu-layers\)\n\Z")

    def test_auto_takes_the_largest_card_first(self):
        plan = ("inspect", "-m", NANO, "--device", "auto")
        self.assertEqual(parts(said(*plan, cuda=1 << 30, hip=2 << 30)), [("emulated:hip", 0), ("emulated:hip", 5)])
        room = self.room_for(3)
        self.assertEqual(parts(said(*plan, cuda=room, hip=room - 1)),
                         [("emulated:cuda", 0), ("emulated:cuda", 3), ("emulated:hip", 2)])
        self.assertEqual(parts(said(*plan, cuda=1000, hip=1000)), [("cpu", 0), ("cpu", 5)])
        self.assertEqual(parts(said("inspect", "-m", NANO, "-ngl", 1))[1:], [("emulated:cuda", 1), ("cpu", 4)])

    def test_what_does_not_fit_is_refused_with_the_arithmetic(self):
        done = run("run", "-m", NANO, *PROMPT, "--device", "emulated:cuda", cuda=self.room_for(3))
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr, r"\Apotluck: no device has room for layers 3:5: emulated:cuda has \d+ MB free less "
                                      r"671 MB .*, the head needs .* KB .*, layers 0:3 need .*; name cpu as well.*\n\Z")


class Benches(unittest.TestCase):
    def test_a_step_is_timed_by_its_parts(self):
        for card in CARDS:
            with self.subTest(card=card):
                found, = json.loads(run("bench", "step", "-m", NANO, "-p", "9", "-r", "2", "--device", card, "-o", "json").stdout)
                self.assertIn(card, found["device"])
                self.assertEqual(found["threads"], 0)
                times = {part: figures["ms"] for part, figures in found["parts"].items()}
                for part in times.keys() - {"hop"}:
                    self.assertGreater(times[part], 0, part)
                self.assertAlmostEqual(sum(times.values()) + found["rest_ms"], found["profiled_step_ms"], places=6)
                self.assertGreater(found["to_card_gb_per_s"], 0)
                self.assertGreater(found["memory_copy_gb_per_s"], 0)
                self.assertRegex(found["peaks"], r"\Af16 \S+ GFLOP/s, int8 \S+ GFLOP/s, memory read \S+ GB/s, memory copied \S+ GB/s\Z")
                for part in ("experts", "dense", "norms"):
                    self.assertGreater(found["parts"][part]["limit_ms"], 0)
                self.assertIn(found["parts"]["experts"]["limited_by"], ("int8", "memory"))
                self.assertEqual(found["parts"]["norms"]["limited_by"], "memory copy")
                said_of_cpu, = json.loads(run("bench", "step", "-m", NANO, "-p", "9", "-r", "1", "-o", "json").stdout)
                for part in times:
                    self.assertEqual(found["parts"][part]["gflop"], said_of_cpu["parts"][part]["gflop"], part)

    def test_a_step_is_told_in_every_format(self):
        words = ("bench", "step", "-m", NANO, "-r", "1", "--device", "emulated:cuda")
        self.assertIn("Peaks of emulated:cuda (emulated cuda card, emulated_cuda), in this run: f16 ", run(*words).stdout)
        header, row = run(*words, "-o", "csv").stdout.splitlines()
        self.assertIn("profiled_step_ms", header.split(","))
        self.assertIn("emulated:cuda", row)
        done = run(*words, "-t", "2")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--threads and --isa say how a CPU computes", done.stderr)


class Demo(unittest.TestCase):
    def test_a_ring_of_cards_and_a_cpu_solves_a_puzzle(self):
        done = run("demo", "--puzzles", "0", "-s", "1", "--check", "--device", "emulated:cuda,emulated:hip,cpu")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for name, device in (("head", "emulated:cuda"), ("stage 0", "emulated:cuda"), ("stage 1", "emulated:hip"), ("stage 2", "2? ?threads?|1 thread")):
            self.assertRegex(done.stdout, rf"(?m)^  {name} +\S.* limit .*({device}) +ipc://")

    @unittest.skipIf(HAS_TSAN, "the ring above plays a puzzle")
    def test_auto_takes_the_cards_in_turn(self):
        done = run("demo", "--puzzles", "0", "-s", "1", "--device", "auto", hip=2 << 30)
        self.assertRegex(done.stdout, r"stage 0 .* emulated:hip(.|\n)* stage 1 .* emulated:cuda(.|\n)* stage 2 .* thread")

    def test_the_bench_counts_what_a_card_solves(self):
        steps = ("--steps", 1) if HAS_TSAN else ()
        play = ("bench", "demo", "--puzzles", 1, *steps, "--precision", "exact")
        done = run(*play, "--device", "emulated:hip")
        self.assertEqual(done.stdout, run(*play).stdout, done.stderr)

    def test_more_devices_than_stages_are_refused(self):
        done = run("demo", "--device", "cpu,cpu,cpu,cpu")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
        self.assertIn("--device names 4 devices, and the demo has 3 stages", done.stderr)


class Ranges(unittest.TestCase):
    WORDS = ("run", "-m", NANO, *PROMPT, "--device", "emulated:cuda,emulated:hip", "--split", "3,2")

    def ranges_of(self, *words):
        """Thread → its lines, (push or pop, name)."""
        with tempfile.NamedTemporaryFile() as log:
            env = {"LD_LIBRARY_PATH": os.environ["STUB_RANGES"], "POTLUCK_STUB_RANGES": log.name}
            done = run(*words, **env)
            self.assertEqual(done.returncode, 0, done.stderr)
            threads = {}
            for line in log.read().decode().splitlines():
                thread, what, name = line.split(" ", 2)
                threads.setdefault(thread, []).append((what, name))
        return threads

    def test_each_pass_and_launch_is_a_range_of_its_cards_profiler(self):
        threads = self.ranges_of(*self.WORDS, "--ranges")
        self.assertEqual(len(threads), 3)  # the head and two stages
        libraries = []
        for lines in threads.values():
            open_ranges, shown = [], set()
            for what, name in lines:
                if what == "push":
                    open_ranges.append(name)
                    shown.add(tuple(open_ranges))
                else:
                    self.assertTrue(open_ranges.pop())
            self.assertEqual(open_ranges, [])
            libraries.append({name for what, name in lines if what == "pop"})
            self.assertLessEqual({("pass",), ("pass, as a graph",)}, shown)
            self.assertIn(("pass", "rms_norm"), shown)
            self.assertEqual({len(path) for path in shown}, {1, 2})
        self.assertEqual(sorted(map(sorted, libraries)), [["nvtx"], ["nvtx"], ["roctx"]])

    def test_there_are_none_unless_they_are_asked_for(self):
        self.assertEqual(self.ranges_of(*self.WORDS), {})

    def test_a_profiler_that_is_not_installed_is_one_line(self):
        done = run("bench", "step", "-m", NANO, "--device", "emulated:hip", "--ranges")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (3, 1), done.stderr)
        self.assertIn("need libroctx64.so.4; install AMD's roctracer, or leave --ranges out", done.stderr)


if __name__ == "__main__":
    unittest.main()
