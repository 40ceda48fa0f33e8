"""Predicts steps of emulated clusters from what doctor measures, runs them, and compares.

Usage, as root, on an idle machine or with more urgency than what else runs (chrt -r 10):
    POTLUCK=build/cluster/potluck TIMED=build/timed/potluck PREDICT=build/tests/bench/predict PYTHONPATH=tests \\
    POTLUCK_SWITCH=build/tests/network/network_switch \\
    python3 tests/bench/predicted_against_measured.py OUT.json [FEW_LAYERS.gguf] [WORD…]

Each cluster has namespaces as hosts, joined by a switch with a rate and a latency. The hosts of most sleep as long as
others would compute (tests/timed); with a model file of real shapes (real_shape_gguf.py --layers 6) there are clusters
whose stages compute on cores of their own. `doctor --cluster` measures devices and links before and after. Predictions
are written to OUT.json before anything of them runs. If the two doctors lead to steps that differ by more than 5 %, the
cluster is tried again. All attempts are in OUT.json, and a row of a table for each is printed. WORDs choose clusters.
"""
import contextlib
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import unittest

from rings import PATIENCE
from switches import Network, can_be_made

PROGRAMS = {"timed": os.environ["TIMED"], "real": os.environ["POTLUCK"]}
PREDICT = os.environ["PREDICT"]
TIMED_MODEL = ("synthetic:released?heads=2&kv_heads=1&full_kv_heads=1&head_dim=32&full_head_dim=64&intermediate=64"
               "&expert_intermediate=32&experts=4&experts_used=1&vocab=512")  # fmt: skip
PROMPTS = {"timed": "hello", "real": "hello there, " * 170}  # doctor's layers have 1,024 tokens behind them
STEPS = 8
ATTEMPTS = 4
APART_MAX = 0.05  # between the steps that the two doctors lead to
CANVAS_BYTES = 256 * 2816 * 2
# mbit/s and one-way ms.
LINKS = {"10gbit": (10000, 0.1), "1gbit": (1000, 0.2), "100mbit": (100, 0.5), "wan": (50, 30)}
UNIT = {"sliding": 1.5, "full": 1.8, "head": 20, "message": 0.3}  # ms on the fastest device
PLENTY = 1 << 40


class Lab:
    """A cluster's hosts as namespaces, and the file that describes it."""

    def __init__(self, test, cluster, model):
        self.cluster, self.model = cluster, model
        self.kind = cluster["kind"]
        self.network = Network(test, *cluster["hosts"])
        mbit, ms = LINKS[cluster["links"]]
        self.network.wires(mbit=mbit, ms=ms)
        self.folder = self.network["m0"].folder
        self.agent = self.folder / "agent"
        self.agent.write_text(f'#!/bin/sh\nhost=$1; shift\nexec {self.folder}/$host sh -c "$*"\n')
        self.agent.chmod(0o755)
        for name, host in cluster["hosts"].items():
            self.write_host(name, host)

    def write_host(self, name, host):
        """A script that runs a command there."""
        own = self.network[name].folder
        program = pathlib.Path(PROGRAMS[self.kind])
        lines = [f"export PATH={program.parent}:$PATH XDG_CONFIG_HOME={own}/config XDG_CACHE_HOME={own}/cache"]
        words = ["ip", "netns", "exec", self.network[name].namespace]
        if self.kind == "timed":
            told = ",".join(f"{unit}={ms * (1 if unit == 'message' else host['speed'])}" for unit, ms in UNIT.items())
            lines.append(f"export POTLUCK_TIMED={told}")
        else:
            words += ["taskset", "-c", host["cores"]]
        script = self.folder / name
        script.write_text("#!/bin/sh\n" + "\n".join(lines) + f'\nexec {" ".join(words)} "$@"\n')
        script.chmod(0o755)

    def on(self, name, *words, **options):
        return subprocess.Popen([str(self.folder / name), *map(str, words)], text=True, **options)

    def output(self, name, *words):
        run = self.on(name, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = run.communicate(timeout=10 * PATIENCE)
        assert run.returncode == 0, f"{words}: {err}"
        return out

    def threads(self, name):
        return self.cluster["hosts"][name].get("threads", 1)

    def measured(self):
        """A cluster file with what doctor measures now, and its report."""
        file = self.folder / "lab.yaml"
        text = f"version: 1\nmodel: {self.model}\ncoordinator: m0\noptions: {{context: 2048, insecure_plaintext: true}}\nhosts:\n"
        for i, name in enumerate(self.cluster["hosts"]):
            role, where = ("no-head", f"ssh: {name}") if i else ("head", "here: true")
            text += (f"  - {{name: {name}, {where}, addresses: [{self.network.addresses[name]}], devices: "
                     f"[{{device: cpu, threads: {self.threads(name)}, memory: {PLENTY}B, role: {role}}}]}}\n")  # fmt: skip
        file.write_text(text)
        # One after another: they share cores. What doctor knows then it does not measure again.
        for name in self.cluster["hosts"]:
            self.output(name, "potluck", "doctor", "-m", self.model, "-t", self.threads(name), "--fresh")
        report = self.output("m0", "potluck", "doctor", "--cluster", file, "--ssh", self.agent, "--write", "--json")
        return file.read_text(), json.loads(report)

    def with_memory(self, text, needs):
        """The first device holds the head, and each other one so many of the largest layers."""
        rows = text.splitlines(keepends=True)
        for i, row in enumerate(rows):
            for name, need in needs.items():
                if row.startswith(f"  - {{name: {name}, "):
                    layers = self.cluster["hosts"][name].get("layers")
                    bytes_ = need["stage"] + layers * max(need["layers"]) if layers else need["head"]
                    rows[i] = row.replace(f"memory: {PLENTY}B", f"memory: {bytes_}B")
        return "".join(rows)

    def predict(self, text):
        file = self.folder / "predict.yaml"
        file.write_text(text)
        return json.loads(subprocess.run([PREDICT, file, self.model], check=True, stdout=subprocess.PIPE).stdout)

    def run(self, ring):
        """Median ms of a step of this ring."""
        places = [("head", ring["head"])] + [(stage["layers"], stage["device"]) for stage in ring["stages"]]
        endpoints = []
        with contextlib.ExitStack() as workers:
            for i, (_, name) in enumerate(places):
                endpoints.append(f"tcp://{self.network.addresses[name]}:{7100 + i}")
                self.start_worker(workers, name, endpoints[-1])
            plan = f"version: 1\ncontext: 2048\nhead:\n  endpoint: {endpoints[0]}\nstages:\n"
            for (layers, _), endpoint in zip(places[1:], endpoints[1:]):
                plan += f"  - endpoint: {endpoint}\n    layers: {layers}\n"
            (self.folder / "plan.yaml").write_text(plan)
            found = self.output("m0", "potluck", "run", "-m", self.model, "--plan", self.folder / "plan.yaml", "-p",
                                PROMPTS[self.kind], "--raw", "--json", "-n", 256, "--steps", STEPS,
                                "--insecure-plaintext")  # fmt: skip
        return statistics.median(json.loads(found)["step_ms"])

    def start_worker(self, workers, name, endpoint):
        worker = self.on(name, "potluck", "worker", "-m", self.model, "--listen", endpoint, "-t", self.threads(name),
                         "--insecure-plaintext", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
        workers.callback(worker.communicate)
        workers.callback(worker.kill)
        assert worker.stdout.readline().startswith("listening"), f"{name} did not start"


def hops_of(report):
    """(from, to) → ms that a canvas takes, as doctor reports it."""
    return {(link["from"], link["to"]): link["latency_ms"] + 8e-3 * CANVAS_BYTES / link["mbit_per_s"]
            for link in report["links"]}  # fmt: skip


class Scope(unittest.TestCase):
    def runTest(self):
        pass


def attempt(cluster, model):
    """What is predicted; then with what was measured, and how far two doctors were apart."""
    scope = Scope()
    try:
        lab = Lab(scope, cluster, model)
        before, report = lab.measured()
        needs = lab.predict(before)["needs"]
        predicted = lab.predict(lab.with_memory(before, needs))
        del predicted["needs"]
        found = {"cluster": cluster, "predicted": predicted, "measured": {}}
        yield found
        for rule, ring in predicted.items():
            if ring:
                found["measured"][rule] = lab.run(ring)
        after, later = lab.measured()
        again = lab.predict(lab.with_memory(after, needs))
        found["again_ms"] = {rule: again[rule]["step_ms"] for rule in found["measured"]}
        found["apart"] = max(abs(ms / predicted[rule]["step_ms"] - 1) for rule, ms in found["again_ms"].items())
        now, then = hops_of(later), hops_of(report)
        found["hops_apart"] = max(abs(now[pair] / then[pair] - 1) for pair in then)
        yield found
    finally:
        scope.doCleanups()


def timed_clusters():
    draw = random.Random(17)
    for links in LINKS:
        for count in (3, 4, 5):
            names = [f"m{i}" for i in range(count)]
            hosts = {name: {"speed": speed} for name, speed in zip(names, draw.sample([1, 2, 4, 8, 8], count))}
            share = 30 // (count - 1)
            for name in names[1:]:
                hosts[name]["layers"] = draw.randint(share + 2, share + 10)
            yield {"kind": "timed", "links": links, "hosts": hosts}


def real_clusters():
    """Of six layers; the first host has the head. Two cores are there, and one works at a time."""
    one, other, both = {"cores": "0", "threads": 1}, {"cores": "1", "threads": 1}, {"cores": "0,1", "threads": 2}
    for links, rows in (("10gbit", ((both, 4), (other, 5))), ("1gbit", ((one, 3), (both, 3), (other, 4))),
                        ("100mbit", ((one, 5), (both, 5), (other, 2))), ("wan", ((one, 4), (both, 5)))):  # fmt: skip
        hosts = {"m0": one, **{f"m{i + 1}": {**host, "layers": layers} for i, (host, layers) in enumerate(rows)}}
        yield {"kind": "real", "links": links, "hosts": hosts}


def row_of(found):
    """Predicted → measured, and how much larger a rule's ratio to the planned ring was than predicted."""
    cluster, predicted, measured = found["cluster"], found["predicted"], found["measured"]
    speeds = [f"{host.get('speed', host.get('threads'))}" for host in cluster["hosts"].values()]
    cells = [cluster["kind"], cluster["links"], ":".join(speeds), str(len(predicted["planned"]["stages"]))]
    for rule in ("planned", "by_memory", "evenly"):
        if rule not in measured:
            cells.append("does not fit")
            continue
        said, was = predicted[rule]["step_ms"], measured[rule]
        gain = (was / measured["planned"]) / (said / predicted["planned"]["step_ms"]) - 1
        cells.append(f"{said:.0f} → {was:.0f} ({100 * (was / said - 1):+.1f} %)")
        if rule != "planned":
            cells[-1] += f", {100 * gain:+.1f} %"
    cells += [f"{100 * found['apart']:.1f} %", f"{100 * found['hops_apart']:.0f} %"]
    return "| " + " | ".join(cells) + " |"


def main(out, *words):
    files = [word for word in words if word.endswith(".gguf")]
    chosen = [word for word in words if word not in files]
    models = {"timed": TIMED_MODEL, "real": files[0] if files else None}
    everything = []
    for cluster in [*(real_clusters() if files else ()), *timed_clusters()]:
        if not set(chosen) <= {cluster["kind"], cluster["links"]}:
            continue
        for _ in range(ATTEMPTS):
            everything.append(None)
            for everything[-1] in attempt(cluster, models[cluster["kind"]]):
                pathlib.Path(out).write_text(json.dumps(everything, indent=1))
            print(row_of(everything[-1]), flush=True)
            if everything[-1]["apart"] <= APART_MAX:
                break


if __name__ == "__main__":
    if not can_be_made():
        sys.exit("a switch between namespaces needs root, iproute2 and /dev/net/tun")
    main(*sys.argv[1:])
