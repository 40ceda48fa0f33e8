"""What `potluck inspect` says of a file, to people and as JSON, and how it refuses."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from rings import PATIENCE, POTLUCK

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"
KQUANT = GOLDEN / "kquant/model-Q4_K_M.gguf"


def inspect(model, *flags):
    return subprocess.run([POTLUCK, "inspect", "-m", str(model), *flags], capture_output=True,
                          text=True, timeout=PATIENCE, check=False)


class Inspect(unittest.TestCase):
    def test_bytes_and_types_add_up(self):
        said = json.loads(inspect(KQUANT, "--stages", "2", "--tensors", "--json").stdout)
        self.assertEqual([layer["kind"] for layer in said["layers"]], ["sliding"] * 3 + ["full"])
        self.assertEqual(sum(said["tensor_types"].values()), len(said["tensors"]))
        layer = [t for t in said["tensors"] if t["name"].startswith("blk.2.")]
        self.assertEqual(sum(t["bytes"] for t in layer), said["layers"][2]["bytes"])
        self.assertEqual(sum(said["layers"][2]["tensor_types"].values()), len(layer))
        head, *stages = said["workers"]
        self.assertEqual(head["weights"], said["head_bytes"])
        self.assertEqual([s["layers"] for s in stages], [[0, 2], [2, 4]])
        for stage in stages:
            first, end = stage["layers"]
            stored = sum(layer["bytes"] for layer in said["layers"][first:end])
            self.assertGreater(stage["weights"], stored)  # experts as panels: 4 bytes more a block of Q4_K
            self.assertLess(stage["weights"], 1.05 * stored)
            self.assertEqual(stage["bytes"], stage["weights"] + stage["kv"] + stage["workspace"])

    def test_people_read_the_same(self):
        text = inspect(KQUANT, "--split", "1,3", "--tensors").stdout
        for part in ("8 experts of 96 (top 2)", "59 f32, 21 q4_k", "layer 3: full, 1 KV head of 64",
                     "stage 1 (layers 1:4): ", "token_embd.weight: q6_k [1024, 256], 215 KB"):
            self.assertIn(part, text)

    def test_a_plan_is_costed_by_its_names(self):
        with tempfile.TemporaryDirectory() as folder:
            plan = pathlib.Path(folder) / "plan.yaml"
            plan.write_text("version: 1\ncontext: 100\nhead: {name: big, start: here}\n"
                            "stages: [{name: small, start: here, layers: 0:4}]\n")
            self.assertIn("small (layers 0:4): ", inspect(KQUANT, "--plan", plan).stdout)
            wrong = inspect(GOLDEN / "nano", "--plan", plan)
            self.assertEqual(wrong.returncode, 2)
            self.assertIn('nobody runs layers 4:5; add a stage, or let "small" end at 5',
                          wrong.stderr)

    def test_what_a_file_says_reaches_no_terminal_raw(self):
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder) / "named.gguf"
            name = json.loads(inspect(KQUANT, "--json").stdout)["model"].encode()
            model.write_bytes(KQUANT.read_bytes().replace(name, b"\x1b[2J\xff".ljust(len(name), b"x"), 1))
            self.assertTrue(inspect(model).stdout.startswith("?[2J?xx"))
            self.assertEqual(json.loads(inspect(model, "--json").stdout)["model"][:5], "\x1b[2J\ufffd")

    def test_vision_tensors_are_noted(self):
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder)
            shutil.copy(GOLDEN / "nano/config.json", model)
            data = (GOLDEN / "nano/model.safetensors").read_bytes()
            size = int.from_bytes(data[:8], "little")
            header = json.loads(data[8:8 + size])
            header["model.encoder.vision_tower.std_bias"] = {
                "dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}
            text = json.dumps(header).encode()
            (model / "model.safetensors").write_bytes(
                len(text).to_bytes(8, "little") + text + data[8 + size:])
            self.assertIn("skipped 1 tensor that is not of the text model (vision)",
                          inspect(model).stdout)


if __name__ == "__main__":
    unittest.main()
