"""Predicts steps of emulated clusters into a file, runs them with timed devices, and compares.

Usage, as root: POTLUCK=build/timed/potluck PREDICT=build/tests/bench/predict \\
                POTLUCK_SWITCH=build/tests/network/network_switch PYTHONPATH=tests \\
                python3 tests/bench/predicted_against_measured.py OUT.json [ATTEMPTS]

Each cluster has namespaces as hosts, joined by a switch with a rate and a latency. Its links are measured before and
after with messages as large as a canvas; if the two differ by more than 5 %, the cluster is tried again. All attempts
are in OUT.json. Its predictions are written before anything of it runs.
"""
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import unittest

from rings import POTLUCK, PATIENCE
from switches import Network, can_be_made

PREDICT = os.environ["PREDICT"]
MODEL = ("synthetic:released?heads=2&kv_heads=1&full_kv_heads=1&head_dim=32&full_head_dim=64&intermediate=64"
         "&expert_intermediate=32&experts=4&experts_used=1&vocab=512")  # fmt: skip
STEPS = 8
APART_MAX = 0.05  # between links before and after
CANVAS_BYTES = 256 * 2816 * 2
# mbit/s and one-way ms.
LINKS = {"10gbit": (10000, 0.1), "1gbit": (1000, 0.2), "100mbit": (100, 0.5), "wan": (50, 30)}
UNIT = {"sliding": 1.5, "full": 1.8, "head": 20, "message": 0.3}  # ms on the fastest device

PROBE = """
import socket, struct, sys, time
CANVAS, SMALL, TIMES = %d, 64, 20
def take(s, n):
    while n:
        n -= len(s.recv(min(n, 1 << 20)))
if sys.argv[1] == "listen":
    listener = socket.create_server(("", 7999))
    print("ready", flush=True)
    s, _ = listener.accept()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for size in (SMALL, CANVAS):
        for _ in range(TIMES):
            take(s, size)
            s.sendall(b"x")
else:
    s = socket.create_connection((sys.argv[2], 7999))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    least = []
    for size in (SMALL, CANVAS):
        times = []
        for _ in range(TIMES):
            begin = time.monotonic()
            s.sendall(bytes(size))
            take(s, 1)
            times.append(1e3 * (time.monotonic() - begin))
        least.append(sorted(times)[TIMES // 4])
    print(least[0] / 2, 8e-3 * CANVAS / max(0.01, least[1] - least[0]))
""" % CANVAS_BYTES


def on(machine, *words, **options):
    return subprocess.Popen(["ip", "netns", "exec", machine.namespace, *words], text=True, **options)


def measured_link(network, a, b):
    """One-way ms and mbit/s from a to b."""
    listener = on(network[b], sys.executable, "-c", PROBE, "listen", stdout=subprocess.PIPE)
    listener.stdout.readline()
    dial = on(network[a], sys.executable, "-c", PROBE, "dial", network.addresses[b], stdout=subprocess.PIPE)
    latency_ms, mbit = map(float, dial.communicate()[0].split())
    listener.wait()
    listener.stdout.close()
    return latency_ms, mbit


def cluster_text(cluster, links, memory):
    text = "version: 1\ncoordinator: m0\nhosts:\n"
    for name, speed in cluster["speeds"].items():
        figures = ", ".join(f"{key}: {UNIT[unit] * (1 if unit == 'message' else speed)}ms" for key, unit in
                            (("sliding_layer", "sliding"), ("full_layer", "full"), ("head", "head"),
                             ("message", "message")))  # fmt: skip
        here = "here: true" if name == "m0" else f"ssh: {name}"
        text += (f"  - name: {name}\n    {here}\n    devices:\n"
                 f"      - {{device: cpu, role: {'head' if name == 'm0' else 'no-head'}, memory: {memory[name]}B, speed: {{{figures}}}}}\n")  # fmt: skip
    text += "links:\n"
    for (a, b), (latency_ms, mbit) in links.items():
        text += f"  - {{from: {a}, to: {b}, latency: {latency_ms:.4f}ms, bandwidth: {mbit:.3f}mbit, both: false}}\n"
    return text + "network: {latency: 0.2ms, bandwidth: 1gbit}\n"


def predict(cluster, links, memory):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(cluster_text(cluster, links, memory))
        file.flush()
        return json.loads(subprocess.run([PREDICT, file.name, MODEL], check=True, stdout=subprocess.PIPE).stdout)


def memory_for(cluster, needs):
    """So that the first device holds the head, and each other one so many of the largest layers."""
    first = next(iter(needs))
    return {name: need["head"] if name == first else need["stage"] + cluster["layers"][name] * max(need["layers"])
            for name, need in needs.items()}  # fmt: skip


def run(network, cluster, ring):
    """Median ms of a step of this ring."""
    ports = {"head": (ring["head"], 7100)}
    for i, stage in enumerate(ring["stages"]):
        ports[i] = (stage["device"], 7200 + i)
    workers = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for place, (name, port) in ports.items():
                speed = cluster["speeds"][name]
                told = ",".join(f"{unit}={ms * (1 if unit == 'message' else speed)}" for unit, ms in UNIT.items())
                endpoint = f"tcp://{network.addresses[name]}:{port}"
                worker = on(network[name], POTLUCK, "worker", "-m", MODEL, "--listen", endpoint, "--insecure-plaintext",
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            env={**os.environ, "POTLUCK_TIMED": told})  # fmt: skip
                workers.append(worker)
                assert worker.stdout.readline().startswith("listening"), f"{name} did not start"
                ports[place] = (name, endpoint)
            plan = f"version: 1\ncontext: 512\nhead:\n  endpoint: {ports['head'][1]}\nstages:\n"
            for i, stage in enumerate(ring["stages"]):
                plan += f"  - endpoint: {ports[i][1]}\n    layers: {stage['layers']}\n"
            path = pathlib.Path(folder) / "plan.yaml"
            path.write_text(plan)
            asked = on(network["m0"], POTLUCK, "run", "-m", MODEL, "--plan", str(path), "-p", "hello", "--raw", "--json",
                       "-n", "256", "--steps", str(STEPS), "--insecure-plaintext", stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env={**os.environ, "POTLUCK_TIMED": "sliding=1"})  # fmt: skip
            out, err = asked.communicate(timeout=4 * PATIENCE)
            assert asked.returncode == 0, err
            return statistics.median(json.loads(out)["step_ms"])
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
                worker.stdout.close()


def links_of(network):
    names = list(network.machines)
    return {(a, b): measured_link(network, a, b) for a in names for b in names if a != b}


def hop_ms(link):
    return link[0] + 8e-3 * CANVAS_BYTES / link[1]


class Scope(unittest.TestCase):
    def runTest(self):
        pass


def attempt(cluster):
    scope = Scope()
    try:
        network = Network(scope, *cluster["speeds"])
        mbit, ms = LINKS[cluster["links"]]
        network.wires(mbit=mbit, ms=ms)
        before = links_of(network)
        plenty = {name: 1 << 40 for name in cluster["speeds"]}
        memory = memory_for(cluster, predict(cluster, before, plenty)["needs"])
        predicted = predict(cluster, before, memory)
        del predicted["needs"]
        found = {"cluster": cluster, "predicted": predicted, "measured": {}}
        yield found
        for rule, ring in predicted.items():
            if ring:
                found["measured"][rule] = run(network, cluster, ring)
        after = links_of(network)
        found["apart"] = max(abs(hop_ms(after[pair]) / hop_ms(before[pair]) - 1) for pair in before)
        yield found
    finally:
        scope.doCleanups()


def clusters():
    draw = random.Random(17)
    made = []
    for links in LINKS:
        for hosts in (3, 4, 5):
            names = [f"m{i}" for i in range(hosts)]
            speeds = dict(zip(names, draw.sample([1, 2, 4, 8, 8], hosts)))
            share = 30 // (hosts - 1)
            layers = {name: draw.randint(share + 2, share + 10) for name in names[1:]}
            made.append({"links": links, "speeds": speeds, "layers": layers})
    return made


def main(out, attempts=2):
    everything = []
    for cluster in clusters():
        for _ in range(int(attempts)):
            everything.append(None)
            for found in attempt(cluster):
                everything[-1] = found
                pathlib.Path(out).write_text(json.dumps(everything, indent=1))
            print(json.dumps(found), flush=True)
            if found["apart"] <= APART_MAX:
                break


if __name__ == "__main__":
    if not can_be_made():
        sys.exit("a switch between namespaces needs root, iproute2 and /dev/net/tun")
    main(*sys.argv[1:])
