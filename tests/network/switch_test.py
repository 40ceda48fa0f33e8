"""The switch carries packets as its commands say: shares of a rate and of a latency, measured in one run."""
import json
import subprocess
import sys
import unittest

import switches
from rings import PATIENCE
from switches import Network

# Sends so many bytes over TCP to a peer that reads them all, and measures round trips of one byte; prints JSON.
LISTENER = """
import socket, sys
with socket.create_server((sys.argv[1], 7000)) as listener:
    print("ready", flush=True)
    peer = listener.accept()[0]
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(int(sys.argv[2])):
        peer.sendall(peer.recv(1))
    while peer.recv(1 << 20):
        pass
    peer.sendall(b"k")
"""
DIALER = """
import json, socket, sys, time
peer = socket.create_connection((sys.argv[1], 7000))
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
turns = []
for _ in range(int(sys.argv[2])):
    start = time.monotonic()
    peer.sendall(b"x")
    peer.recv(1)
    turns.append(time.monotonic() - start)
size = int(sys.argv[3])
start = time.monotonic()
peer.sendall(bytes(size))
peer.shutdown(socket.SHUT_WR)
assert peer.recv(1) == b"k"
print(json.dumps({"turn_ms": sorted(turns)[len(turns) // 2] * 1e3, "mbit": size * 8e-6 / (time.monotonic() - start)}))
"""


class Switch(unittest.TestCase):
    def measure(self, network, a, b, size=8 << 20, turns=21):
        listener = self.python(network[b], LISTENER, network.addresses[b], turns)
        self.assertEqual(listener.stdout.readline(), "ready\n")
        dialer = self.python(network[a], DIALER, network.addresses[b], turns, size)
        seen = json.loads(dialer.communicate(timeout=2 * PATIENCE)[0])
        listener.communicate(timeout=2 * PATIENCE)
        return seen

    def python(self, machine, text, *words):
        return subprocess.Popen(["ip", "netns", "exec", machine.namespace, sys.executable, "-c", text, *map(str, words)],
                                text=True, stdout=subprocess.PIPE)  # fmt: skip

    def test_a_wire_has_its_rate_and_its_latency(self):
        network = Network(self, "a", "b")
        network.wire("a", "b", mbit=50, ms=15)
        slow = self.measure(network, "a", "b", size=4 << 20)
        self.assertGreaterEqual(slow["turn_ms"], 30)
        self.assertLessEqual(slow["mbit"], 50)
        network.wire("a", "b")
        ideal = self.measure(network, "a", "b")
        self.assertLess(ideal["turn_ms"], slow["turn_ms"] / 4)
        self.assertGreater(ideal["mbit"], 2 * slow["mbit"])
        print("50 Mbit/s with 15 ms:", slow, "ideal:", ideal)

    def test_what_is_sent_is_shaped_one_way_alone(self):
        network = Network(self, "a", "b")
        network.wire("a", "b", both=False, mbit=20)
        self.assertLessEqual(self.measure(network, "a", "b", size=2 << 20)["mbit"], 20)
        self.assertGreater(self.measure(network, "b", "a", size=2 << 20)["mbit"], 40)

    def test_all_wires_of_a_host_share_its_card(self):
        network = Network(self, "a", "b", "c")
        network.card("a", 20)
        self.assertLessEqual(self.measure(network, "a", "b", size=2 << 20)["mbit"], 20)
        self.assertGreater(self.measure(network, "b", "c", size=2 << 20)["mbit"], 40)

    def test_lost_packets_are_sent_again_and_counted(self):
        network = Network(self, "a", "b", seed=5, lossy=True)
        network.wire("a", "b", loss=0.02, ms=1)
        self.measure(network, "a", "b", size=2 << 20)
        packets, sent, lost = network.traffic("a", "b")
        self.assertGreaterEqual(sent, 2 << 20)
        self.assertTrue(0.005 * packets < lost < 0.06 * packets, (packets, lost))

    def test_a_cut_is_a_partition_until_it_is_joined(self):
        network = Network(self, "a", "b", "c")
        network.cut("a", "b")
        with self.assertRaises(subprocess.CalledProcessError):
            self.ping(network, "a", "b")
        self.ping(network, "a", "c")
        network.join("a", "b")
        self.ping(network, "a", "b")

    def ping(self, network, a, b):
        text = ("import socket, sys\ntry: socket.create_connection((sys.argv[1], 9), 1)\n"
                "except ConnectionRefusedError: sys.exit(0)\nexcept OSError: sys.exit(1)")  # fmt: skip
        subprocess.run(["ip", "netns", "exec", network[a].namespace, sys.executable, "-c", text, network.addresses[b]], check=True)


if __name__ == "__main__":
    if not switches.can_be_made():
        print(switches.WHY)
        sys.exit(77)
    unittest.main(verbosity=2)
