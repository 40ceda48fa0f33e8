"""What `potluck bench step` prints: three formats of the same runs, and refusals of one line."""
import csv
import io
import json
import pathlib
import subprocess
import unittest

from rings import PATIENCE, POTLUCK

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"
MODEL = "synthetic:nano?layers=3"
PARTS = ["projections", "attention", "router", "experts", "dense", "norms", "conditioning", "head", "sampling",
         "hop"]


def bench(*flags, model=MODEL):
    return subprocess.run([POTLUCK, "bench", "step", "-m", str(model), *flags], capture_output=True, text=True,
                          timeout=5 * PATIENCE, check=False)


class BenchStep(unittest.TestCase):
    def said(self, *flags, model=MODEL):
        done = bench(*flags, model=model)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_parts_are_no_more_than_the_step(self):
        runs = json.loads(self.said("-p", "5,60", "-r", "3", "-t", "2", "--stages", "3", "-o", "json"))
        self.assertEqual([run["prompt"] for run in runs], [5, 60])
        for run in runs:
            self.assertEqual(list(run["parts"]), PARTS)
            times = [part["ms"] for part in run["parts"].values()]
            self.assertTrue(all(ms > 0 for ms in times), times)
            self.assertGreaterEqual(run["rest_ms"], 0)
            self.assertAlmostEqual(sum(times) + run["rest_ms"], run["step_ms"], places=6)
            self.assertLessEqual(run["step_ms_least"], run["step_ms"])
            self.assertLessEqual(run["step_ms"], run["step_ms_most"])
            self.assertGreater(run["encode_tokens_per_s"], 0)
            self.assertAlmostEqual(sum(part["limit_ms"] for part in run["parts"].values()), run["limit_ms"],
                                   places=6)
            self.assertAlmostEqual(run["limit_ms"] / run["step_ms"], run["share"], places=6)
            for part in run["parts"].values():
                self.assertAlmostEqual(part["gflop"] / part["ms"] * 1e3, part["gflop_per_s"], places=6)
        scores = [run["parts"]["attention"]["gflop"] for run in runs]
        self.assertGreater(scores[1], scores[0])  # more keys
        self.assertEqual(runs[0]["parts"]["dense"]["gflop"], 3 * 2 * 16 * 3 * 64 * 64 * 1e-9)

    def test_canvases_in_one_pass_do_each_the_work_of_one(self):
        one, three = (json.loads(self.said("-p", "9", "-r", "1", "--canvases", n, "-o", "json"))[0] for n in "13")
        self.assertEqual((one["canvases"], three["canvases"]), (1, 3))
        self.assertEqual(one["ms_a_canvas"], one["step_ms"])
        self.assertAlmostEqual(three["ms_a_canvas"] * 3, three["step_ms"], places=6)
        for part in ("projections", "attention", "router", "experts", "dense", "conditioning"):
            self.assertAlmostEqual(three["parts"][part]["gflop"], 3 * one["parts"][part]["gflop"], places=9)
        self.assertIn("A step of 3 canvases behind a prompt of 9:",
                      self.said("-p", "9", "-r", "1", "--canvases", "3"))

    def test_a_row_a_run_in_every_format(self):
        header, *rows = csv.reader(io.StringIO(self.said("-p", "0,9", "-r", "1", "-o", "csv")))
        self.assertEqual([len(row) for row in rows], [len(header)] * 2)
        self.assertEqual(len(set(header)), len(header))
        run = dict(zip(header, rows[1]))
        self.assertEqual((run["model"], run["prompt"], run["precision"]), (MODEL, "9", "fast"))
        self.assertRegex(run["date"], r"^20\d\d-\d\d-\d\d$")
        for part in PARTS:
            self.assertGreater(float(run[part + "_ms"]), 0)
        lines = self.said("-p", "0,9", "-r", "1").split("\n\n")[0].splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual({line.count("|") for line in lines}, {lines[0].count("|")})

    def test_a_file_is_measured_in_both_precisions(self):
        model = GOLDEN / "kquant/model-Q4_K_M.gguf"
        for precision in ("exact", "fast"):
            run, = json.loads(self.said("-r", "1", "--precision", precision, "-o", "json", model=model))
            self.assertEqual(run["precision"], precision)
            self.assertEqual(run["isa"] == "portable", precision == "exact")
            self.assertGreater(run["parts"]["experts"]["gb_per_s"], 0)
            stores = run["isa"] != "portable"
            self.assertEqual(run["panel_bytes"] > 0, stores)
            slower = min(run["file_gb_per_s"], run["touch_gb_per_s"])
            self.assertGreater(slower, 0)
            self.assertAlmostEqual(run["load_share"], run["load_gb_per_s"] / slower if stores else 0, places=6)

    def test_a_cold_load_reads_the_same_model(self):
        model = GOLDEN / "kquant/model-Q4_K_M.gguf"
        for flags, cold in (([], False), (["--cold"], True)):
            run, = json.loads(self.said("-r", "1", *flags, "-o", "json", model=model))
            self.assertEqual(run["cold"], cold)
            self.assertGreater(run["file_gb_per_s"], 0)
            self.assertGreater(run["load_gb_per_s"], 0)
        self.assertIn("the file read from where it lies at", self.said("-r", "1", "--cold", model=model))
        self.assertGreater(json.loads(self.said("-r", "1", "--cold", "-o", "json"))[0]["load_s"], 0)  # no file

    def test_what_cannot_be_is_refused_in_one_line(self):
        for flags, part in ((["--isa", "avx9"], 'isa "avx9" is unknown'),
                            (["--precision", "exact", "--isa", "avx2"], "leave out --isa"),
                            (["-p", "5000"], "give at most 4080"),
                            (["-p", "1,x"], "must be a whole number in plain decimal, "),
                            (["-r", "0"], "must be 1 to 1000, not 0"),
                            (["--canvases", "65"], "must be 1 to 64, not 65"),
                            (["-o", "xml"], "must be md, json or csv, not xml"),
                            (["--stages", "9"], "")):
            done = bench(*flags)
            self.assertEqual((done.returncode, done.stdout), (2, ""), flags)
            self.assertRegex(done.stderr, r"^potluck: [^\n]*\n$")
            self.assertIn(part, done.stderr)


if __name__ == "__main__":
    unittest.main()
