"""Machines without the model: each fetches its own part of it and no more, from the machine that coordinates."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

import model_files
import namespaces
from hub import Hub
from namespaces import Machine, cable
from relays import CutRelay
from rings import POTLUCK, SOURCE, Running, plan_text, potluck, wait_until
from up_test import mine

TIMES = 16  # a model of so many times the demo's six layers, 53 MB
LAYERS = 6 * TIMES
SLACK = 1.02  # bytes that may move, by those of the stage
PLACES = 20
ANSWER = 260_000  # bytes of a peer's answer at most
NOWHERE = "/nowhere/long.gguf"
QUESTION = ("-p", "123456", "--raw", "--json", "-s", "7", "-n", "48", "--steps", "2")
AGENT = """#!/bin/sh
host=$1; shift
[ -e FOLDER/off-$host ] && { echo "no route to host" >&2; exit 255; }
export XDG_CONFIG_HOME=FOLDER/$host XDG_CACHE_HOME=FOLDER/cache-$host
exec ip netns exec "potluck-$host-PID" sh -c "$*"
"""


def long_model(path):
    model = model_files.GgufFile.read(SOURCE / "cluster/demo/sudoku6.gguf")
    keys = dict(model.keys)
    prefix = "diffusion-gemma."
    keys[prefix + "block_count"] = (keys[prefix + "block_count"][0], LAYERS)
    for name in ("attention.head_count_kv", "attention.sliding_window_pattern"):
        kind, (of, values) = keys[prefix + name]
        keys[prefix + name] = (kind, (of, values * TIMES))
    tensors = {name: tensor for name, tensor in model.tensors.items() if not name.startswith("blk.")}
    for layer in range(LAYERS):
        for name, tensor in model.tensors.items():
            if name.startswith(f"blk.{layer % 6}."):
                tensors[f"blk.{layer}." + name.split(".", 2)[2]] = tensor
    return model_files.GgufFile(keys, tensors).write(path)


FOLDER = tempfile.TemporaryDirectory(prefix="long")
MODEL = long_model(pathlib.Path(FOLDER.name) / "long.gguf")


def stage_bytes(begin, end):
    """Of the header and the tensors of these layers."""
    model = model_files.GgufFile.read(MODEL)
    tensors = {name: len(tensor.data) for name, tensor in model.tensors.items()}
    header = os.stat(MODEL).st_size - sum(tensors.values())
    return header + sum(size for name, size in tensors.items()
                        if name.startswith("rope") or name.startswith("blk.") and begin <= int(name.split(".")[1]) < end)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


class Workers(unittest.TestCase):
    """A worker whose machine has nothing, and a machine that shares, over a line that cuts, changes and counts."""

    @classmethod
    def setUpClass(cls):
        cls.whole = json.loads(potluck("run", "-m", MODEL, "-c", "512", *QUESTION)[0])["ids"]
        cls.stage = stage_bytes(LAYERS // 2, LAYERS)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        self.there = {"XDG_CONFIG_HOME": str(self.home / "there")}
        self.here = {"XDG_CACHE_HOME": str(self.home / "cache")}
        own, self.key = (potluck("key", env=env)[0].split()[0] for env in (self.here, self.there))
        share = Running("share", "-m", MODEL, "--listen", "tcp://127.0.0.1:*", "--allow", own, env=self.there)
        share.__enter__()
        self.addCleanup(share.__exit__)
        self.relay = CutRelay(share.wait_for_endpoint())
        self.addCleanup(self.relay.__exit__)

    def words(self):
        return ["worker", "-m", NOWHERE, "--fetch-from", self.relay.endpoint, "--fetch-key", self.key,
                "--listen", "tcp://127.0.0.1:*", "--name", "far"]  # fmt: skip

    def plan(self, worker):
        plan = self.home / "plan.yaml"
        half = LAYERS // 2
        plan.write_text(plan_text(None, (None, f"0:{half}"), (worker.wait_for_endpoint(), f"{half}:{LAYERS}")))
        return str(plan)

    def ask(self, worker, code=0):
        return potluck("run", "-m", MODEL, "--plan", self.plan(worker), "--no-recovery", *QUESTION, code=code)

    def answer(self):
        """The answer's ids, and what the worker said."""
        with Running(*self.words(), env=self.here) as worker:
            ids = json.loads(self.ask(worker)[0])["ids"]
            return ids, worker.stderr()

    def copy(self):
        return next((self.home / "cache/potluck/models").glob("*/long.gguf"))

    def test_it_fetches_its_layers_alone_and_answers_as_one_with_all(self):
        ids, said = self.answer()
        self.assertEqual(ids, self.whole)
        print(f"half of the layers: {self.relay.moved} bytes moved for {self.stage}, {self.relay.moved / self.stage:.4f}")
        self.assertLessEqual(self.relay.moved, SLACK * self.stage)
        self.assertLessEqual(os.stat(self.copy()).st_blocks * 512, SLACK * self.stage)
        self.assertRegex(said, r"fetched [0-9.]+ MB in ")
        first = self.relay.moved
        self.assertEqual(self.answer()[0], self.whole)
        self.assertLess(self.relay.moved - first, 5000)  # nothing moves twice

    def test_a_line_that_is_cut_at_twenty_places_goes_on(self):
        self.relay.cuts = [self.stage * (i + 1) // (PLACES + 1) for i in range(PLACES)]
        self.assertEqual(self.answer()[0], self.whole)
        print(f"cut at {PLACES} places: {self.relay.moved / self.stage:.4f} of their bytes moved")
        self.assertEqual(self.relay.cuts, [])
        self.assertLessEqual(self.relay.moved, SLACK * self.stage + PLACES * ANSWER)  # an answer that is cut is lost

    def test_a_worker_that_is_killed_goes_on(self):
        self.relay.hold_at = self.stage // 2
        with Running(*self.words(), env=self.here) as worker:
            with Running("run", "-m", MODEL, "--plan", self.plan(worker), *QUESTION):
                wait_until(self.relay.holding.is_set, "half of the stage")
        self.relay.hold_at = None
        self.assertEqual(self.answer()[0], self.whole)
        self.assertLessEqual(self.relay.moved, SLACK * self.stage + 8 * ANSWER)  # those on their way

    def test_a_byte_that_changes_on_the_way_is_fetched_anew(self):
        self.relay.flip_at = self.stage // 3
        self.assertEqual(self.answer()[0], self.whole)
        self.assertIsNone(self.relay.flip_at)

    def test_a_byte_that_changes_on_the_disk_is_fetched_anew(self):
        self.answer()
        first = self.relay.moved
        flip(self.copy(), os.stat(MODEL).st_size - 60_000)  # within the last layer
        ids, said = self.answer()
        self.assertEqual(ids, self.whole)
        self.assertIn("1 piece has changed on this disk since it came; fetching anew", said)
        self.assertLess(self.relay.moved - first, 2 * ANSWER)  # a piece is an answer

    def test_a_part_that_the_coordinator_lacks_comes_from_the_hub(self):
        hub = Hub("owner/long-GGUF", {"long-Q8_0.gguf": pathlib.Path(MODEL).read_bytes()})
        hub.__enter__()
        self.addCleanup(hub.__exit__)
        model = "hf:owner/long-GGUF"
        network = {"HF_ENDPOINT": hub.url, "no_proxy": "*"}
        there, here = ({**network, "HF_HOME": str(self.home / name)} for name in ("hub-there", "hub-here"))
        half = LAYERS // 2
        potluck("pull", model, "--layers", f"0:{half}", "--head", env=there)
        own = potluck("key", env=self.here)[0].split()[0]
        before = hub.sent
        with Running("share", "-m", model, "--listen", "tcp://127.0.0.1:*", "--allow", own, env={**self.there, **there}) as share:
            words = ["worker", "-m", model, "--fetch-from", share.wait_for_endpoint(), "--fetch-key", self.key,
                     "--listen", "tcp://127.0.0.1:*", "--name", "far"]  # fmt: skip
            with Running(*words, env=here) as worker:
                parts = potluck("run", "-m", model, "--plan", self.plan(worker), "--no-recovery", *QUESTION, env=there)[0]
                said = worker.stderr()
        self.assertEqual(json.loads(parts)["ids"], self.whole)
        self.assertIn("are not in this copy", said)
        self.assertIn("asking the hub for hf:owner/long-GGUF", said)
        print(f"hub: {hub.sent - before} bytes for {self.stage}, {(hub.sent - before) / self.stage:.4f}")
        self.assertLessEqual(hub.sent - before, SLACK * self.stage)
        self.assertIn(f"partial: layers {half}:{LAYERS} of {LAYERS}\n", potluck("inspect", "-m", model, env=here)[0])

    def test_a_disk_that_is_full_is_named_with_what_is_needed(self):
        disk = self.home / "cache"
        disk.mkdir()
        script = f"mount -t tmpfs -o size=4m tmpfs {disk} && exec {POTLUCK} \"$0\" \"$@\""
        with Running(*self.words(), env=self.here, program=["unshare", "-m", "sh", "-c", script]) as worker:
            said = self.ask(worker, code=3)[1]
        print(said)
        self.assertRegex(said, rf"stage 1: {disk}/potluck/models/\w+ needs 2[0-9.]+ MB, its disk has [0-9.]+ [MK]B free")


class Up(unittest.TestCase):
    """`potluck up -f` with three machines: the second has no model, the third has the file."""

    NAMES = ("desk", "nas", "shed")

    def setUp(self):
        switch = Machine(self, "switch")
        self.folder = switch.folder
        switch.ip("link", "add", "bridge0", "type", "bridge")
        switch.ip("link", "set", "bridge0", "up")
        self.machines = {name: Machine(self, name) for name in self.NAMES}
        for i, (name, machine) in enumerate(self.machines.items()):
            cable(machine, "lan0", switch, f"port{i}")
            machine.address("lan0", f"10.79.0.{1 + i}/24")
            switch.ip("link", "set", f"port{i}", "up", "master", "bridge0")
        self.agent = self.folder / "agent"
        self.agent.write_text(AGENT.replace("FOLDER", str(self.folder)).replace("PID", str(os.getpid())))
        self.agent.chmod(0o755)
        self.env = {"XDG_STATE_HOME": f"{self.folder}/state", "XDG_CONFIG_HOME": f"{self.folder}/desk"}
        self.addCleanup(self.end_all)
        self.layers = {"nas": (LAYERS // 3, 2 * LAYERS // 3), "shed": (2 * LAYERS // 3, LAYERS)}
        self.write_cluster()

    def end_all(self):
        for pid in mine(str(self.folder)):
            os.kill(pid, signal.SIGKILL)

    def write_cluster(self):
        hosts, stages = "", ""
        for i, name in enumerate(self.NAMES):
            place = "here: true" if i == 0 else f"ssh: {name}\n    program: {POTLUCK}"
            model = f"\n    model: {NOWHERE}" if name == "nas" else ""
            hosts += (f"  - name: {name}\n    {place}{model}\n    addresses: [10.79.0.{1 + i}]\n"
                      "    devices: [{device: cpu}]\n")  # fmt: skip
            if i:
                begin, end = self.layers[name]
                stages += (f"  - name: {name}\n    endpoint: tcp://10.79.0.{1 + i}:7001\n    layers: {begin}:{end}\n")
        (self.folder / "cluster.yaml").write_text(f"version: 1\nmodel: {MODEL}\nhosts:\n{hosts}")
        (self.folder / "plan.yaml").write_text(
            "version: 1\ncontext: 512\nhead:\n  start: here\n  endpoint: tcp://10.79.0.1:7001\nstages:\n"
            f"  - start: here\n    layers: 0:{LAYERS // 3}\n    memory: 40MB\n" + stages)  # which leaves nas the rest

    def potluck(self, *words, code=0):
        done = subprocess.run(["ip", "netns", "exec", self.machines["desk"].namespace, POTLUCK, *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
                              env={**os.environ, **self.env})  # fmt: skip
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout, done.stderr

    def up(self, code=0):
        """What it said, and the bytes that came to the machine without the model."""
        before = self.came()
        said = self.potluck("up", "-f", str(self.folder / "cluster.yaml"), "--plan", str(self.folder / "plan.yaml"),
                            "--ssh", str(self.agent), code=code)[1]  # fmt: skip
        return said, self.came() - before

    def came(self):
        shown = subprocess.run(["ip", "-n", self.machines["nas"].namespace, "-s", "-j", "link", "show", "lan0"],
                               capture_output=True, text=True, check=True).stdout  # fmt: skip
        return json.loads(shown)[0]["stats64"]["rx"]["bytes"]

    def ids(self):
        return json.loads(self.potluck("run", *QUESTION)[0])["ids"]

    def test_a_machine_without_the_model_gets_its_layers_and_keeps_them(self):
        whole = json.loads(potluck("run", "-m", MODEL, "-c", "512", *QUESTION)[0])["ids"]
        stage = stage_bytes(*self.layers["nas"])
        said, moved = self.up()
        print(f"nas: {moved} bytes came for a stage of {stage}, {moved / stage:.4f}")
        self.assertLessEqual(moved, SLACK * stage)
        self.assertRegex(said, r"nas fetches its part of the model: [0-9.]+ [MK]?B of [0-9.]+ MB, ")
        self.assertFalse((self.folder / "cache-shed").exists())  # it has the file
        self.assertEqual(self.ids(), whole)
        self.potluck("down")
        _, moved = self.up()
        self.assertLess(moved, 100_000)
        self.assertEqual(self.ids(), whole)
        before = self.came()
        (self.folder / "off-shed").touch()
        for pid in mine(str(self.folder)):  # the neighbours take its layers over, and fetch what they lack
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"worker" in words and b"shed" in words:
                os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.ids(), whole)
        inspected = potluck("inspect", "-m", str(next((self.folder / "cache-nas/potluck/models").glob("*/long.gguf"))))[0]
        held = [int(number) for number in re.search(r"partial: layers (\d+):(\d+) of", inspected).groups()]
        print(f"nas: {self.came() - before} bytes came for layers {held[0]}:{held[1]} after the loss")
        self.assertGreater(held[1] - held[0], LAYERS // 3)
        self.assertLessEqual(self.came() - before, SLACK * (stage_bytes(*held) - stage) + 500_000)  # and the ring's messages
        self.potluck("down")

    def test_run_with_a_cluster_file_gives_the_layers_too(self):
        whole = json.loads(potluck("run", "-m", MODEL, "-c", "512", *QUESTION)[0])["ids"]
        out, _ = self.potluck("run", *QUESTION, "--cluster", str(self.folder / "cluster.yaml"),
                              "--plan", str(self.folder / "plan.yaml"), "--ssh", str(self.agent))  # fmt: skip
        self.assertEqual(json.loads(out)["ids"], whole)
        self.assertTrue((self.folder / "cache-nas").exists())


class Guests(unittest.TestCase):
    """A machine joins that has nothing of the model, on devices that sleep, so that it is the faster one."""

    def test_a_machine_joins_without_the_model_and_gets_its_layers_alone(self):
        desk, laptop = Machine(self, "desk"), Machine(self, "laptop")
        cable(desk, "lan0", laptop, "lan0")
        for i, machine in enumerate((desk, laptop)):
            machine.address("lan0", f"10.79.1.{1 + i}/24")
        up = self.start(desk, "sliding=2,full=2,head=2", "up", "--foreground", "--join", "-m", MODEL, "--stages", "1",
                        "-t", "1", "-c", "512")  # fmt: skip
        wait_until(lambda: "join it:" in up.stdout() or up.process.poll() is not None, "the ring")
        before = self.ask(desk)
        token = self.once(desk, "token", "create")
        run = self.start(laptop, "sliding=0.2,full=0.2,head=2", "join", "--name", "laptop", "-t", "1", "--memory", "45MB",
                         "-m", NOWHERE, token)  # fmt: skip
        wait_until(lambda: re.search(r"laptop: layers \d+:\d+", run.stderr()) or run.process.poll() is not None, "a part")
        after = self.ask(desk)
        self.assertIn("laptop", [stage["name"] for stage in after["plan"]["stages"]], run.stderr())
        self.assertEqual(after["ids"], before["ids"])
        layers = [int(number) for number in re.search(r"laptop: layers (\d+):(\d+)", run.stderr()).groups()]
        self.assertLess(layers[1] - layers[0], LAYERS)
        copy = next((laptop.folder / "cache/potluck/models").glob("*/long.gguf"))
        stage = stage_bytes(*layers)
        print(f"laptop: layers {layers[0]}:{layers[1]}, {os.stat(copy).st_blocks * 512 / stage:.4f} of their bytes on its disk")
        self.assertLessEqual(os.stat(copy).st_blocks * 512, SLACK * stage)
        self.assertIn(f"partial: layers {layers[0]}:{layers[1]} of {LAYERS}\n", potluck("inspect", "-m", str(copy))[0])

    @staticmethod
    def settings(machine):
        return {f"XDG_{name.upper()}_HOME": f"{machine.folder}/{name}" for name in ("config", "state", "cache")}

    def start(self, machine, speeds, *words):
        run = Running(*words, env={**self.settings(machine), "POTLUCK_TIMED": speeds},
                      program=["ip", "netns", "exec", machine.namespace, os.environ["POTLUCK_TIMED_PROGRAM"]])  # fmt: skip
        run.__enter__()
        self.addCleanup(run.__exit__)
        return run

    def once(self, machine, *words):
        return subprocess.run(["ip", "netns", "exec", machine.namespace, POTLUCK, *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={**os.environ, **self.settings(machine)}, check=True).stdout.strip()  # fmt: skip

    def ask(self, machine):
        return json.loads(self.once(machine, "run", *QUESTION))


if __name__ == "__main__":
    if not namespaces.can_be_made():
        print(namespaces.WHY)
        sys.exit(namespaces.SKIPPED)
    unittest.main()
