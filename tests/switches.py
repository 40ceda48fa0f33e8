"""A network of namespaces whose links are as a test says: rate, latency, jitter, loss, partitions."""
import os
import subprocess

import namespaces
from namespaces import Machine

SWITCH = os.environ.get("POTLUCK_SWITCH", "")  # the program tests/network/switch
DEVICE = "lan0"
WHY = "skipped: a switch needs root, iproute2, /dev/net/tun and no chroot"


def can_be_made():
    return os.access("/dev/net/tun", os.R_OK | os.W_OK) and namespaces.can_be_made()


class Network:
    """Machines that are joined by one switch; machine i has the addresses 10.77.0.1+i and fd77::1+i."""

    def __init__(self, test, *names, seed=1, lossy=False):
        self.machines = {name: Machine(test, name) for name in names}
        self.addresses = {name: f"10.77.0.{1 + i}" for i, name in enumerate(names)}
        places = [f"{machine.namespace}={self.addresses[name]},fd77::{1 + i:x}"
                  for i, (name, machine) in enumerate(self.machines.items())]  # fmt: skip
        self.process = subprocess.Popen([SWITCH, *(["--lossy"] if lossy else []), str(seed), *places], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        test.addCleanup(self.stop)
        assert self.process.stdout.readline() == "ready\n", "the switch did not start"
        for i, (name, machine) in enumerate(self.machines.items()):
            machine.address(DEVICE, f"{self.addresses[name]}/24", f"fd77::{1 + i:x}/64")

    def __getitem__(self, name):
        return self.machines[name]

    def stop(self):
        """Everybody is alone from now on."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "done" or words[0] == "traffic", f"{words}: {answer}"
        return answer

    def wire(self, a, b, both=True, **values):
        """mbit, ms (one way), jitter (ms), loss; what is not named is ideal."""
        for x, y in ((a, b), (b, a)) if both else ((a, b),):
            self.say("wire", self[x].namespace, self[y].namespace, *(f"{k}={v}" for k, v in values.items()))

    def wires(self, **values):
        """All wires."""
        for a in self.machines:
            for b in self.machines:
                if a != b:
                    self.wire(a, b, both=False, **values)

    def card(self, name, mbit):
        self.say("card", self[name].namespace, f"mbit={mbit}")

    def cut(self, a, b):
        self.say("cut", self[a].namespace, self[b].namespace)
        self.say("cut", self[b].namespace, self[a].namespace)

    def join(self, a, b):
        self.say("join", self[a].namespace, self[b].namespace)
        self.say("join", self[b].namespace, self[a].namespace)

    def traffic(self, a, b):
        """Packets, bytes and lost packets from a to b so far."""
        return tuple(map(int, self.say("traffic", self[a].namespace, self[b].namespace).split()))
