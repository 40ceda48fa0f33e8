"""What `potluck plan` says of a cluster, with no machine but this one awake."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from rings import NANO, PATIENCE, POTLUCK, SOURCE

RELEASED = "synthetic:released?type=q8_0&expert_type=q4_k"
EXAMPLES = SOURCE / "cluster/examples"
# Two equal machines of which neither holds the model.
TWO = """version: 1
network: {latency: 0.2ms, bandwidth: 1gbit}
hosts:
  - name: desk
    here: true
    addresses: [10.0.0.3]
    devices: [{device: cuda:0, memory: 12GiB, speed: {sliding_layer: 4ms, full_layer: 4ms, head: 40ms}}]
  - name: spare
    ssh: spare
    addresses: [10.0.0.4]
    key: "%s"
    devices: [{device: cuda:0, memory: 12GiB, speed: {sliding_layer: 4ms, full_layer: 4ms, head: 40ms}}]
""" % ("00e1" + 60 * "7")


def plan(*flags, model=RELEASED):
    words = [POTLUCK, "plan", *(["-m", model] if model else []), *map(str, flags)]
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)


class Plan(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.two = self.written("two.yaml", TWO)

    def written(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def said(self, *flags):
        done = plan(*flags, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_a_step_is_the_sum_of_its_parts(self):
        said = self.said("--cluster", self.two)
        parts = sum(row["wire_ms"] + row["compute_ms"] for row in said["ring"])
        self.assertAlmostEqual(parts, said["step_ms"], places=6)
        self.assertTrue(said["proven"])
        self.assertAlmostEqual(said["tokens_per_s"]["12"], 1000 * 256 / (13 * said["step_ms"]), places=6)
        layers = [row["part"] for row in said["ring"] if row["part"].startswith("layers")]
        self.assertEqual(layers[0].split()[1].split(":")[0], "0")
        self.assertEqual(layers[-1].split(":")[1], "30")
        for device in said["memory"]:
            self.assertLessEqual(device["bytes"], device["of"])
        self.assertEqual([one for one in said["alone"] if "ms" in one], [])
        self.assertEqual(said["verdict"], "yes: no machine holds the model alone")
        self.assertIn("room for", said["alone"][0]["why"])

    def test_people_get_it_on_a_screen_and_a_half_of_80_columns(self):
        for example in ("home-lab", "pool", "two-boxes"):
            with self.subTest(example=example):
                done = plan("--cluster", EXAMPLES / f"{example}.yaml")
                self.assertEqual(done.returncode, 0, done.stderr)
                lines = done.stdout.splitlines()
                self.assertLessEqual(len(lines), 48)
                self.assertEqual([line for line in lines if len(line) > 80], [])
                for part in ("the ring", "a step", "tokens/s", "memory", "limits", "assumed",
                             "other plans", "is it worth it?"):
                    self.assertIn(part, done.stdout)

    def test_many_machines_take_no_more_room(self):
        hosts = "".join(f"  - {{name: h{i}, ssh: h{i}, devices: [{{device: cuda:0, card: 3060, memory: {4 + i % 5}GiB}}]}}\n"
                        for i in range(40))
        many = self.written("many.yaml", f"version: 1\ncoordinator: h0\nnetwork: {{bandwidth: 1gbit}}\nhosts:\n{hosts}")
        done = plan("--cluster", many)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLessEqual(len(done.stdout.splitlines()), 48)
        self.assertIn(" more, unused", done.stdout)

    def test_what_is_emitted_is_a_plan_for_the_same_model(self):
        emitted = self.folder / "plan.yaml"
        done = plan("--cluster", self.two, "--emit", emitted)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, f"the plan is written; run it with: potluck run -m '{RELEASED}' --plan {emitted}\n")
        said = subprocess.run([POTLUCK, "inspect", "-m", RELEASED, "--plan", emitted, "--json"],
                              capture_output=True, text=True, timeout=PATIENCE, check=True)
        names = [worker["name"] for worker in json.loads(said.stdout)["workers"]]
        self.assertEqual(sorted({name.removesuffix("-head") for name in names}), ["desk", "spare"])
        text = emitted.read_text()
        for part in ("start: here", "endpoint: tcp://10.0.0.4:7000", "key: \"00e1", "device: cuda:0"):
            self.assertIn(part.replace('"', ""), text.replace('"', ""))

    def test_a_plan_is_written_over_a_plan_alone(self):
        for name, text in (("notes.txt", "shopping: milk\n"), ("two.yaml", TWO), ("blob", "\0\1\2")):
            with self.subTest(name=name):
                other = self.written(name, text)
                done = plan("--cluster", self.two, "--emit", other)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertRegex(done.stderr, f"{name}: --emit would write over this file, which is no plan; name another")
                self.assertEqual((self.folder / name).read_text(), text)
        done = plan("--cluster", self.two, "--emit", self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--emit names a folder; name a file", done.stderr)

    def test_an_older_plan_is_replaced_whole_and_keeps_its_mode(self):
        emitted, link = self.folder / "plan.yaml", self.folder / "link.yaml"
        emitted.touch(0o640)
        link.symlink_to(emitted)
        for _ in range(2):
            before = os.stat(emitted).st_ino
            self.assertEqual(plan("--cluster", self.two, "--emit", link).returncode, 0)
            self.assertNotEqual(os.stat(emitted).st_ino, before)
            self.assertEqual(os.stat(emitted).st_mode & 0o777, 0o640)
            self.assertTrue(link.is_symlink())
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("plan.yaml.")], [])
        done = plan("--cluster", self.two, "--emit", "/dev/stderr")
        self.assertEqual(done.returncode, 0)
        self.assertIn("stages:", done.stderr)
        done = plan("--cluster", self.two, "--emit", self.folder / "none/plan.yaml")
        self.assertEqual(done.returncode, 3)
        self.assertIn("name a file in a folder that can be written to", done.stderr)

    def test_a_context_beyond_the_models_positions_is_refused(self):
        long = self.written("long.yaml", TWO.replace("version: 1\n", "version: 1\noptions: {context: 1048576}\n", 1))
        done = plan("--cluster", long)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r'long.yaml:2: "context" is 1048576, and this model takes at most \d+ tokens; write \d+ or less')

    def test_a_speed_that_was_measured_with_another_model_is_not_used(self):
        speed = ", speed: {sliding_layer: 4ms, full_layer: 4ms, head: 40ms}"
        figures = "sliding_layer: 4ms, full_layer: 4ms, head: 40ms, model"
        digest = json.loads(subprocess.run([POTLUCK, "inspect", "-m", RELEASED, "--json"], capture_output=True, text=True,
                                           timeout=PATIENCE, check=True).stdout)["fingerprint"]  # fmt: skip
        row = f"measured:\n  devices:\n    - {{name: desk, device: cuda:0, {figures}: DIGEST}}\n"
        other, own = (TWO.replace(speed, "", 1) + row.replace("DIGEST", text) for text in (16 * "a", f"'{digest}'"))
        self.assertEqual(plan("--cluster", self.written("own.yaml", own)).returncode, 0)
        done = plan("--cluster", self.written("other.yaml", other))
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, 'other.yaml:7: "desk" has no speed with this model, only with another; let potluck doctor')
        card = self.written("card.yaml", other.replace("memory: 12GiB", "memory: 12GiB, card: 3080", 1))
        done = plan("--cluster", card)
        self.assertEqual(done.returncode, 0)
        self.assertIn("the measured speed of desk is of another model and is ignored; potluck doctor --cluster", done.stderr)
        self.assertIn("speed of desk", self.said("--cluster", card)["assumed"][0])

    def test_the_front_is_no_plan_to_be_written(self):
        written = self.folder / "plan.yaml"
        done = plan("--cluster", self.two, "--objective", "pareto", "--emit", written)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--objective pareto lists many plans", done.stderr)
        self.assertEqual((done.stdout, written.exists()), ("", False))

    def test_a_plan_that_was_emitted_answers(self):
        one = self.written("one.yaml", """version: 1
hosts:
  - name: me
    here: true
    devices: [{memory: 1GiB, speed: {sliding_layer: 4ms, full_layer: 4ms, head: 4ms}}]
""")
        emitted = self.folder / "plan.yaml"
        self.assertEqual(plan("--cluster", one, "--emit", emitted, model=NANO).returncode, 0)
        done = subprocess.run([POTLUCK, "run", "-m", NANO, "--plan", emitted, "-p", "Hi", "-n", "8", "-s", "1"],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_key_that_is_missing_is_said(self):
        keyless = self.written("keyless.yaml", "\n".join(
            line for line in TWO.splitlines() if "key:" not in line) + "\n")
        done = plan("--cluster", keyless, "--emit", self.folder / "plan.yaml")
        self.assertEqual(done.returncode, 0)
        self.assertIn('spare has no "key" in ', done.stderr)
        self.assertIn("and potluck run refuses a plan without it", done.stderr)

    def test_what_ifs_change_the_cluster(self):
        before = self.said("--cluster", self.two)
        card = self.said("--cluster", self.two, "--what-if", "add 4090@desk")
        self.assertAlmostEqual(card["before_ms"], before["step_ms"], places=6)
        self.assertLess(card["step_ms"], before["step_ms"] / 2)
        self.assertIn("speed of desk-4090", card["assumed"])
        link = self.said("--cluster", self.two, "--what-if", "link desk-spare 10gbit")
        self.assertAlmostEqual(link["step_ms"] - before["step_ms"], -2 * 1441792 * 8 / 1e6 * 0.9, delta=0.5)
        gone = plan("--cluster", self.two, "--what-if", "remove spare")
        self.assertEqual(gone.returncode, 3)
        self.assertIn("the model does not fit: there is room for the head and ", gone.stderr)
        for words, line in (("add 3090@dsk", 'there is no host "dsk"; did you mean "desk"?'),
                            ("add 3091@desk", '"3091" is no known card; did you mean "3090"?'),
                            ("link desk-nas 1gbit", '"desk-nas" does not name two hosts'),
                            ("link desk-spare fast", '"fast" is not a rate'),
                            ("remove nas", 'there is no host or device "nas"'),
                            ("remove desk", '"desk" is the host that coordinates'),
                            ("sell desk", "potluck knows no such change")):
            with self.subTest(words=words):
                done = plan("--cluster", self.two, "--what-if", words)
                self.assertEqual(done.returncode, 2)
                self.assertIn(line, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_one_machine_that_is_fastest_is_said_to_be(self):
        slow = TWO.replace("memory: 12GiB", "memory: 40GiB", 1).replace("1gbit", "10mbit")
        said = self.said("--cluster", self.written("slow.yaml", slow))
        self.assertEqual(said["verdict"], "no: one machine is the fastest; the others would only slow it down")
        self.assertEqual(said["left_out"], ["spare (4.0 ms a layer, 2307.7 ms there and back)"])
        self.assertAlmostEqual(said["alone"][0]["ms"], said["step_ms"], places=6)

    def test_a_front_trades_a_step_for_a_period(self):
        front = self.said("--cluster", EXAMPLES / "home-lab.yaml", "--objective", "pareto")
        steps = [point["step_ms"] for point in front]
        periods = [point["period_ms"] for point in front]
        self.assertEqual(steps, sorted(steps))
        self.assertEqual(periods, sorted(periods, reverse=True))
        best = self.said("--cluster", EXAMPLES / "home-lab.yaml", "--objective", "throughput")
        more_kv = 1.1  # all canvases that it takes have room, and that costs a little
        self.assertLess(best["period_ms"], more_kv * min(periods))
        text = plan("--cluster", EXAMPLES / "home-lab.yaml", "--objective", "pareto").stdout
        self.assertEqual(len(re.findall(r"^ +[0-9.]+ +[0-9.]+ ms ", text, re.M)), len(front))
        self.assertEqual([line for line in text.splitlines() if len(line) > 80], [])

    def test_the_most_steps_a_second_are_planned_with_the_canvases_that_they_take(self):
        emitted = self.folder / "throughput.yaml"
        said = plan("--cluster", EXAMPLES / "home-lab.yaml", "--objective", "throughput", "--emit", emitted).stdout
        sessions = re.search(r"^sessions: ([0-9]+)$", emitted.read_text(), re.M)
        self.assertGreater(int(sessions.group(1)), 1)
        self.assertNotIn('write "canvases: ', said)

    def test_what_cannot_be_planned_is_refused_with_its_fix(self):
        unmeasured = TWO.replace("memory: 12GiB, speed: {sliding_layer: 4ms, full_layer: 4ms, head: 40ms}",
                                 "memory: 12GiB", 1)
        done = plan("--cluster", self.written("unmeasured.yaml", unmeasured))
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, 'unmeasured.yaml:7: "desk" has no speed; let potluck doctor --cluster .*unmeasured.yaml --write measure it')
        done = plan("--cluster", self.two, model="")
        self.assertEqual(done.returncode, 2)
        self.assertIn('nothing says which model to plan for; write "model: hf:OWNER/REPO" into the file', done.stderr)
        for name in ("hf:a", "5", "/nonexistent/x.gguf", "synthetic:nope"):
            with self.subTest(model=name):
                done = plan("--cluster", self.written("model.yaml", TWO + f"model: {name}\n"), model="")
                self.assertEqual(done.returncode, 2)
                line = len(TWO.splitlines()) + 1
                self.assertRegex(done.stderr, rf'model\.yaml:{line}: "model": ')
                self.assertNotIn("(-m)", done.stderr)
        done = plan("--cluster", self.two, "--what-if", "add 3090@desk", "--emit", self.folder / "x")
        self.assertEqual(done.returncode, 2)
        self.assertFalse((self.folder / "x").exists())


if __name__ == "__main__":
    unittest.main()
