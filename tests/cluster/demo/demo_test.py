"""The demo models where they are installed, and what `bench demo` counts: of both grids, beside its controls."""
import itertools
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from rings import PATIENCE, POTLUCK, Running, potluck

PUZZLES = 6
BANDS = {6: ((8, 11), (12, 17), (18, 33)), 9: ((24, 30), (31, 39), (40, 77))}
MODELS = {"demo": 6, "demo9": 9}
BAND = re.compile(r" *(\d+) to +(\d+) givens: (\d+) of (\d+), (\d+\.\d) % \(95 %: (\d+\.\d) to (\d+\.\d)\), mean K (\d+\.\d)")


class Block:
    """What is said of the model or of one control: a line for each band, and the steps of all."""

    def __init__(self, lines):
        found = [BAND.fullmatch(line) for line in lines[:3]]
        assert all(found), lines
        numbers = [match.groups() for match in found]
        self.bands = [tuple(map(int, band[:4])) for band in numbers]
        self.shares = [tuple(map(float, band[4:7])) for band in numbers]
        self.mean_steps = [float(band[7]) for band in numbers]
        self.lines = lines
        steps = re.fullmatch(r"steps K:((?:\s+\d+×\d+)+)", "\n".join(lines[3:]))[1]
        self.steps = {int(k): int(n) for k, n in (each.split("×") for each in steps.split())}

    def solved(self):
        return sum(band[2] for band in self.bands)


def bench(grid, *flags):
    """(first line, the model's block, control → block)"""
    out, _ = potluck("bench", "demo", "--grid", str(grid), "--puzzles", str(PUZZLES), *flags)
    assert all(len(line) <= 80 for line in out.splitlines()), out
    first, *lines = out.splitlines()
    blocks = [list(group) for full, group in itertools.groupby(lines, key=bool) if full]
    return first, Block(blocks[0]), {block[0].split()[1].rstrip(":"): Block(block[1:]) for block in blocks[1:]}


class BenchDemo(unittest.TestCase):
    def test_bands_of_both_grids(self):
        for grid, bands in BANDS.items():
            with self.subTest(grid=grid):
                first, model, controls = bench(grid, "-s", "3")
                self.assertIn(f"{grid}×{grid}, seed 3;", first)
                self.assertEqual([band[:2] for band in model.bands], list(bands))
                self.assertEqual([band[3] for band in model.bands], [PUZZLES // 3] * 3)
                self.assertEqual(controls, {})
                for (_, _, solved, played), (share, low, high) in zip(model.bands, model.shares):
                    self.assertEqual(share, 100 * solved / played)
                    self.assertTrue(0 <= low <= share <= high <= 100)
                self.assertEqual(sum(model.steps.values()), PUZZLES)
                self.assertAlmostEqual(sum(model.mean_steps) / 3, sum(k * n for k, n in model.steps.items()) / PUZZLES, delta=0.06)

    def test_a_model_solves_most_puzzles_that_give_much(self):
        for grid in BANDS:
            self.assertGreater(bench(grid)[1].bands[2][2], 0)

    def test_controls_play_the_same_puzzles_with_less(self):
        for grid in BANDS:
            with self.subTest(grid=grid):
                names = ("one-step", "no-self-conditioning", "shuffled-weights")
                _, model, controls = bench(grid, "--control", ",".join(names[:2]), "--control", names[2])
                self.assertEqual(tuple(controls), names)
                self.assertEqual(model.lines, bench(grid)[1].lines)
                one = controls["one-step"]
                self.assertEqual(one.steps, {1: PUZZLES})
                self.assertEqual(one.lines, bench(grid, "--steps", "1")[1].lines)
                self.assertLessEqual(one.solved(), model.solved())
                self.assertNotEqual(controls["no-self-conditioning"].steps, one.steps)
                self.assertNotEqual(controls["no-self-conditioning"].lines, model.lines)
                shuffled = controls["shuffled-weights"]
                self.assertEqual(shuffled.solved(), 0)
                self.assertEqual([share[:2] for share in shuffled.shares], [(0, 0)] * 3)  # and not −0.0, by BAND

    def test_a_first_step_is_conditioned_on_nothing(self):
        _, model, controls = bench(9, "--steps", "1", "--control", "no-self-conditioning")
        self.assertEqual(controls["no-self-conditioning"].lines, model.lines)

    def test_words_that_are_no_control_or_grid(self):
        for flags in (("--control", "half"), ("--control", "one-step,half"), ("--grid", "7"), ("--grid", "")):
            _, err = potluck("bench", "demo", *flags, code=2)
            self.assertRegex(err, rf"\Apotluck: {flags[0]}: must be .*, not (half|7|\"\");.*\n\Z")


class InstalledDemo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_an_installed_potluck_finds_both_models(self):
        build = pathlib.Path(POTLUCK).resolve().parents[1]
        subprocess.run(["cmake", "--install", build, "--prefix", self.folder], check=True, capture_output=True, timeout=PATIENCE)
        for model, grid in MODELS.items():
            done = subprocess.run([self.folder / "bin/potluck", "inspect", "-m", model], capture_output=True, text=True,
                                  timeout=PATIENCE, check=True)  # fmt: skip
            self.assertIn(f"{grid}x{grid}", done.stdout)
        shutil.rmtree(self.folder / "share")
        for model, grid in MODELS.items():
            done = subprocess.run([self.folder / "bin/potluck", "inspect", "-m", model], capture_output=True, text=True,
                                  timeout=PATIENCE, check=False)  # fmt: skip
            self.assertEqual(done.returncode, 2)
            path = self.folder.resolve() / f"share/potluck/demo/sudoku{grid}.gguf"
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn(f"the demo model is not installed: there is no {path};", done.stderr)

    def test_the_last_stage_of_a_9x9_demo_elsewhere(self):
        with Running("worker", "-m", "demo9", "--listen", "tcp://127.0.0.1:*") as worker:
            endpoint = worker.wait_for_endpoint()
            out, _ = potluck("demo", "--grid", "9", "--puzzles", "1", "-s", "1", "--worker", endpoint)
        self.assertIn("only on 9×9 Sudoku", out)
        self.assertIn(endpoint, out)
        self.assertRegex(out, r"\d of 2 solved\.\n\Z")


if __name__ == "__main__":
    unittest.main()
